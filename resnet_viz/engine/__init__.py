"""Where and when something is computed, and what is kept of it: for all visitors alike, and nothing here knows Streamlit."""
