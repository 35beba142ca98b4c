"""The pages in their order, which is that of the report's questions, too: file, title, icon (of Material Symbols)."""

CONTENTS = {
    "start": ("Start: seven claims", "home"),
    "degradation": ("Degradation", "moving"),
    "live_training": ("Live training", "sprint"),
    "learning_identity": ("Learning the identity", "equal"),
    "stage_diagram": ("Stage diagram", "account_tree"),
    "gradient_flow": ("Gradient flow", "trending_down"),
    "shattered_gradients": ("Shattered gradients", "grain"),
    "path_unrolling": ("Path unrolling", "alt_route"),
    "strongest_paths": ("Strongest paths", "timeline"),
    "short_paths": ("Short paths", "shortcut"),
    "layer_deletion": ("Layer deletion", "content_cut"),
    "lesion_studies": ("Lesion studies", "healing"),
    "painters": ("Painters", "palette"),
    "block_importance": ("Block importance", "leaderboard"),
    "block_influence": ("Block influence", "turn_slight_right"),
    "early_stop": ("Stopping early", "skip_next"),
    "lineage": ("Lineage", "family_history"),
    "lessons": ("Lessons", "school"),
    "about": ("Words and sources", "menu_book"),
}
