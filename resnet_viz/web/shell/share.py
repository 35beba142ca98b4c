"""The link to what a visitor sees, as text and as a QR code, under the address at which others can reach this server."""

from urllib.parse import urlencode, urlsplit, urlunsplit

import segno
import streamlit as st

from ...engine.kept import kept
from ..networks import HANDED_OVER
from .address import own_address
from .links import Query

THIS_MACHINE = ("localhost", "127.0.0.1")
ONLY_HERE, SERVE_A_CLASS = (
    "Only this machine can open it.",
    "Start the app with `make run HOST=0.0.0.0` to serve a class.",
)
SHARE = st.components.v2.component(
    "resnet_viz_share",
    html="<div class='share'><div class='code'></div><div class='words'><label>Link to this view<input readonly></label>"
    "<button>Copy</button></div></div>",
    css="""
.share { display: flex; flex-wrap: wrap; gap: 16px; }
.words { flex: 1 1 240px; }
label { display: block; font-size: 0.875rem; color: var(--st-text-color); }
input { width: 100%; box-sizing: border-box; margin: 4px 0 8px; padding: 7px 9px; font: 0.875rem monospace; color: var(--st-text-color);
  background: var(--st-secondary-background-color); border: 1px solid var(--st-border-color); border-radius: 7px; }
button { font: 500 0.875rem var(--st-font, sans-serif); padding: 5px 14px; border-radius: 7px; border: 1px solid var(--st-border-color);
  color: var(--st-text-color); background: none; cursor: pointer; }
.code { background: white; width: 180px; max-width: 100%; border-radius: 7px; line-height: 0; }
.large .code { width: min(60vh, 26rem); }  /* for the last row */
.code svg { width: 100%; height: auto; }
""",
    js="""
export default function ({ data, parentElement }) {
  const [input, button, code, all] = ["input", "button", ".code", ".share"].map((name) => parentElement.querySelector(name));
  all.classList.toggle("large", data.large);
  if (input.value !== data.link) {
    input.value = data.link;
    code.innerHTML = data.code;
    button.textContent = "Copy";
  }
  input.onfocus = () => input.select();
  button.hidden = !navigator.clipboard;  // there is none over plain http: the link is selected by a click
  button.onclick = async () => {
    await navigator.clipboard.writeText(data.link);
    button.textContent = "Copied";
  };
}
""",
)


def link_to(page: str, query: Query) -> str:
    """The whole address of a view. ``page``: its path, '' for the start page."""
    scheme, host, *_ = urlsplit(st.context.url or f"http://localhost:{st.get_option('server.port')}")
    return urlunsplit((scheme, reachable(host), f"/{page}", urlencode(query), ""))


def reachable(host: str) -> str:
    """The host and port under which others reach this server, if it serves more than this machine; else as it came."""
    name, _, port = host.partition(":")
    serves_others = (
        st.get_option("server.address") in ("0.0.0.0", "::") or st.get_option("browser.serverAddress") != "localhost"
    )
    return f"{own_address()}:{port}" if serves_others and name in THIS_MACHINE else host


def qr_code(link: str) -> str:
    return segno.make(link, error="L", micro=False, mask=3).svg_inline(
        border=2, omitsize=True
    )  # to weigh all eight masks takes 3 times as long


def share(link: str, own_image: bool) -> None:
    """The button that shows the link and its QR code."""
    with st.popover("Share", icon=":material/share:", width="stretch", help="A link to what you see, and its QR code."):
        show_link(link, "share")
        st.caption(
            "It restores page, network, image, deletions and settings."
            + (" **Your own image is not in it**: whoever opens it sees the bundled one." if own_image else "")
        )


def code_and_link(code: str, link: str) -> None:
    """The button that shows a class what it is to open, on the projector."""
    if st.button("Code and link", icon=":material/qr_code_2:", help="What the class opens, and its QR code."):

        @st.dialog("Join", width="large")
        def show() -> None:
            show_link(link, "code_link", large=True)
            st.markdown("Or, on the page **Lessons**, the code:")
            st.title(code, anchor=False)

        show()


def show_link(link: str, key: str, *, large: bool = False) -> None:
    """A link as text and as a QR code."""
    SHARE(key=key, data={"link": link, "code": kept(qr_code, link), "large": large})
    if urlsplit(link).hostname in THIS_MACHINE:
        st.caption(ONLY_HERE if HANDED_OVER else f"{ONLY_HERE} {SERVE_A_CLASS}")
