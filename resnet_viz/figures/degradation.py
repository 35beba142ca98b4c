"""How degradation looks: error by epoch and by depth, plain beside residual, and the gradient as training goes on."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from ..experiments.degradation import History, gap, gradient_history
from .palette import Palette, styled
from .training import band, epoch_step, whiskers

Runs = Mapping[int, Sequence[History]]
NAMES = {"plain": "plain", "resnet": "residual"}
TRAIN, TEST = "train_error_pct", "test_error_pct"


def errors_by_epoch(families: Mapping[str, Runs], palette: Palette) -> go.Figure:
    """Error after each epoch on a log axis, a panel for each family: dashed on training images, solid on test images; the
    mean of the seeds as a line, from the least to the largest as a band.

    ``families``: 'plain' and 'resnet', each the histories of its seeds by depth.
    """
    figure = make_subplots(rows=1, cols=len(families), shared_yaxes=True, horizontal_spacing=0.06,
                           subplot_titles=[NAMES[family] for family in families])  # fmt: skip
    depths = sorted({depth for runs in families.values() for depth in runs})
    colours = dict(zip(depths, ramp(palette, len(depths)), strict=True))
    widths = dict(zip(depths, np.linspace(1.2, 3, len(depths)), strict=True))  # the deeper, the stronger
    for column, (family, runs) in enumerate(families.items(), start=1):
        for depth, of_seeds in runs.items():
            for which, dash in ((TRAIN, "dash"), (TEST, "solid")):
                errors = np.array([[epoch[which] for epoch in run["epochs"]] for run in of_seeds])
                epochs = list(range(1, errors.shape[1] + 1))
                name = f"{family}{depth}, {which.split('_')[0]}"
                if len(errors) > 1:
                    figure.add_scatter(
                        **band(epochs, errors), opacity=0.15, fillcolor=colours[depth], name=f"{name}, range of seeds", row=1, col=column,
                    )  # fmt: skip
                figure.add_scatter(
                    x=epochs, y=errors.mean(0), name=name, mode="lines", line={"color": colours[depth], "width": widths[depth], "dash": dash},
                    hovertemplate="epoch %{x}: %{y:.2f} %<extra>" + name + "</extra>", row=1, col=column,
                )  # fmt: skip
        figure.update_xaxes(title_text="epoch", dtick=epoch_step(runs), showgrid=False, row=1, col=column)
    for depth, colour in colours.items():
        figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": colour, "width": widths[depth]}, name=f"{depth} layers", showlegend=True)  # fmt: skip
    for name, dash in (("training images", "dash"), ("test images", "solid")):
        figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": palette.muted, "dash": dash}, name=name, showlegend=True)  # fmt: skip
    figure.update_yaxes(type="log", tickvals=[2, 3, 5, 7, 10, 15, 20, 30, 50, 90])
    figure.update_yaxes(title_text="error, %, log scale", col=1)
    return with_legend(styled(figure, palette, 400, top=70), palette)


def errors_by_depth(families: Mapping[str, Runs], palette: Palette) -> go.Figure:
    """Two panels over depth: the errors at the end (hollow: training images, filled: test images), and their difference.

    A marker is the mean of the seeds, its whiskers reach from the least to the largest.
    """
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.17, subplot_titles=["error", "gap: test − training"])
    depths = sorted({depth for runs in families.values() for depth in runs})
    for family, runs in families.items():
        colour, symbol = (palette.plain, "square") if family == "plain" else (palette.ink, "circle")
        lines = [
            (f"{NAMES[family]}, training images", lambda run: run[TRAIN], f"{symbol}-open", "dash", 1),
            (f"{NAMES[family]}, test images", lambda run: run[TEST], symbol, "solid", 1),
            (f"{NAMES[family]}, gap", gap, symbol, "solid", 2),
        ]
        for name, measure, marker, dash, column in lines:
            values = [[measure(run) for run in of_seeds] for of_seeds in runs.values()]
            means = np.array([np.mean(each) for each in values])
            figure.add_scatter(
                x=[depths.index(depth) for depth in runs], y=means, name=name, mode="lines+markers", showlegend=column == 1,
                line={"color": colour, "dash": dash, "width": 1.5}, marker={"symbol": marker, "size": 10, "color": colour},
                error_y=whiskers(values) | {"color": colour},
                text=[f"{len(each)} seed{'s' if len(each) > 1 else ''}" for each in values],
                hovertemplate="%{y:.2f} (%{text})<extra>" + name + "</extra>", row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(title_text="layers", tickvals=list(range(len(depths))), ticktext=depths, showgrid=False)
    figure.update_yaxes(title_text="error, %", rangemode="tozero", col=1)
    figure.update_yaxes(title_text="points", rangemode="tozero", col=2)
    return with_legend(styled(figure, palette, 360, top=70), palette)


def gradients_by_epoch(runs: Mapping[str, History], palette: Palette) -> go.Figure:
    """The norm of the gradient at each block (from below) after each epoch (to the right), networks beside each other
    on one colour scale."""
    norms = {name: gradient_history(run) for name, run in runs.items()}
    logs = {name: np.log10(np.maximum(each, 1e-30)) for name, each in norms.items()}
    low, high = min(each.min() for each in logs.values()), max(each.max() for each in logs.values())
    figure = make_subplots(
        rows=1, cols=len(runs), horizontal_spacing=0.08, subplot_titles=list(runs), shared_yaxes=True
    )
    ticks = list(range(int(np.ceil(low)), int(np.floor(high)) + 1))
    for column, (name, each) in enumerate(logs.items(), start=1):
        blocks = len(each)
        figure.add_heatmap(
            x=list(range(1, each.shape[1] + 1)), z=each, zmin=low, zmax=high, colorscale=palette.colormap, showscale=column == 1,
            colorbar={"title": {"text": "norm", "side": "right", "font": {"size": 12, "color": palette.muted}}, "tickvals": ticks, "ticktext": [f"10<sup>{tick}</sup>" for tick in ticks],
                      "tickfont": {"size": 11, "color": palette.muted}, "thickness": 8, "outlinewidth": 0},
            customdata=norms[name], hovertemplate="epoch %{x}, block %{y}: %{customdata:.2g}<extra>" + name + "</extra>", row=1, col=column,
        )  # fmt: skip
        third = blocks // 3
        figure.update_xaxes(title_text="epoch", showgrid=False, row=1, col=column)
        figure.update_yaxes(tickvals=[0, third, 2 * third], ticktext=[f"layer{number}.0" for number in (1, 2, 3)], showgrid=False, row=1, col=column)  # fmt: skip
    figure.update_yaxes(title_text="block, the first at the bottom", col=1)
    return with_legend(styled(figure, palette, 380, top=40), palette)


def ramp(palette: Palette, count: int) -> list[str]:
    """Colours for an ordered quantity, each distinct from the background; one alone is the colour of the writing."""
    return sample_colorscale(palette.colormap, list(np.linspace(*palette.ramp, count))) if count > 1 else [palette.ink]


def with_legend(figure: go.Figure, palette: Palette) -> go.Figure:
    """Only what is named on purpose stands in the legend above; panel titles in the common size."""
    for trace in figure.data:
        if "showlegend" in trace and trace.showlegend is None:
            trace.showlegend = False
    figure.update_annotations(font={"size": 13, "color": palette.ink})
    return figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0})
