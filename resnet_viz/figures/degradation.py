"""How degradation looks: error by epoch and by depth, plain beside residual, and the gradient as training goes on."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from plotly.colors import sample_colorscale

from ..experiments.degradation import History, gap, gradient_history
from .palette import Palette, styled
from .plot import Plot, grid
from .training import band, epoch_step, log_colours, whiskers

__all__ = ["Runs", "errors_by_depth", "errors_by_epoch", "gradients_by_epoch"]

Runs = Mapping[int, Sequence[History]]
NAMES = {"plain": "plain", "resnet": "residual"}
TRAIN, TEST = "train_error_pct", "test_error_pct"


def errors_by_epoch(families: Mapping[str, Runs], palette: Palette) -> Plot:
    """Error after each epoch on a log axis, a panel for each family: dashed on training images, solid on test images; the
    mean of the seeds as a line, from the least to the largest as a band.

    ``families``: 'plain' and 'resnet', each the histories of its seeds by depth.
    """
    titles = [NAMES[family] for family in families]
    plot = grid(columns=len(families), horizontal_gap=0.06, titles=titles, shared=True)
    depths = sorted({depth for runs in families.values() for depth in runs})
    colours = dict(zip(depths, ramp(palette, len(depths)), strict=True))
    widths = dict(zip(depths, np.linspace(1.2, 3, len(depths)), strict=True))  # the deeper, the stronger
    for panel, (family, runs) in enumerate(families.items(), start=1):
        for depth, of_seeds in runs.items():
            for which, dash in ((TRAIN, "dash"), (TEST, "solid")):
                errors = np.array([[epoch[which] for epoch in run["epochs"]] for run in of_seeds])
                epochs = list(range(1, errors.shape[1] + 1))
                name = f"{family}{depth}, {which.split('_')[0]}"
                if len(errors) > 1:
                    plot.add(
                        "scatter",
                        panel,
                        **band(epochs, errors),
                        opacity=0.15,
                        fillcolor=colours[depth],
                        name=f"{name}, range of seeds",
                    )
                plot.add(
                    "scatter",
                    panel,
                    x=epochs,
                    y=errors.mean(0),
                    name=name,
                    mode="lines",
                    line={"color": colours[depth], "width": widths[depth], "dash": dash},
                    hovertemplate="epoch %{x}: %{y:.2f} %<extra>" + name + "</extra>",
                )
        plot.x_axis("epoch", panel, dtick=epoch_step(runs), showgrid=False)
    for depth, colour in colours.items():
        plot.add(
            "scatter",
            x=[None],
            y=[None],
            mode="lines",
            line={"color": colour, "width": widths[depth]},
            name=f"{depth} layers",
            showlegend=True,
        )
    for name, dash in (("training images", "dash"), ("test images", "solid")):
        plot.add(
            "scatter",
            x=[None],
            y=[None],
            mode="lines",
            line={"color": palette.muted, "dash": dash},
            name=name,
            showlegend=True,
        )
    plot.y_axis(type="log", tickvals=[2, 3, 5, 7, 10, 15, 20, 30, 50, 90])
    plot.y_axis("error, %, log scale", 1)
    return with_legend(styled(plot, palette, 400, top=70, lines=15))


def errors_by_depth(families: Mapping[str, Runs], palette: Palette) -> Plot:
    """Two panels over depth: the errors at the end (hollow: training images, filled: test images), and their difference.

    A marker is the mean of the seeds, its whiskers reach from the least to the largest.
    """
    plot = grid(columns=2, horizontal_gap=0.17, titles=["error", "gap: test − training"])
    depths = sorted({depth for runs in families.values() for depth in runs})
    for family, runs in families.items():
        colour, symbol = (palette.plain, "square") if family == "plain" else (palette.ink, "circle")
        lines: list[tuple[str, Callable[[History], float], str, str, int]] = [
            (f"{NAMES[family]}, training images", lambda run: run[TRAIN], f"{symbol}-open", "dash", 1),
            (f"{NAMES[family]}, test images", lambda run: run[TEST], symbol, "solid", 1),
            (f"{NAMES[family]}, gap", gap, symbol, "solid", 2),
        ]
        for name, measure, marker, dash, panel in lines:
            values = [[measure(run) for run in of_seeds] for of_seeds in runs.values()]
            means = np.array([np.mean(each) for each in values])
            plot.add(
                "scatter",
                panel,
                x=[depths.index(depth) for depth in runs],
                y=means,
                name=name,
                mode="lines+markers",
                showlegend=panel == 1,
                line={"color": colour, "dash": dash, "width": 1.5},
                marker={"symbol": marker, "size": 10, "color": colour},
                error_y=whiskers(values) | {"color": colour},
                text=[f"{len(each)} seed{'s' if len(each) > 1 else ''}" for each in values],
                hovertemplate="%{y:.2f} (%{text})<extra>" + name + "</extra>",
            )
    plot.x_axis("layers", tickvals=list(range(len(depths))), ticktext=depths, showgrid=False)
    plot.y_axis("error, %", 1, rangemode="tozero")
    plot.y_axis("points", 2, rangemode="tozero")
    return with_legend(styled(plot, palette, 360, top=70, lines=13))


def gradients_by_epoch(runs: Mapping[str, History], palette: Palette) -> Plot:
    """The norm of the gradient at each block (from below) after each epoch (to the right), networks beside each other
    on one colour scale."""
    norms = {name: gradient_history(run) for name, run in runs.items()}
    logs = {name: np.log10(np.maximum(each, 1e-30)) for name, each in norms.items()}
    low, high = min(each.min() for each in logs.values()), max(each.max() for each in logs.values())
    plot = grid(columns=len(runs), horizontal_gap=0.08, titles=list(runs), shared=True)
    for panel, (name, each) in enumerate(logs.items(), start=1):
        blocks = len(each)
        plot.add(
            "heatmap",
            panel,
            x=list(range(1, each.shape[1] + 1)),
            z=each,
            **log_colours(low, high, palette),
            showscale=panel == 1,
            customdata=norms[name],
            hovertemplate="epoch %{x}, block %{y}: %{customdata:.2g}<extra>" + name + "</extra>",
        )
        third = blocks // 3
        plot.x_axis("epoch", panel, showgrid=False)
        plot.y_axis(
            "",
            panel,
            tickvals=[0, third, 2 * third],
            ticktext=[f"layer{number}.0" for number in (1, 2, 3)],
            showgrid=False,
        )
    plot.y_axis("block, the first at the bottom", 1)
    return with_legend(styled(plot, palette, 380, top=40, lines=13))


def ramp(palette: Palette, count: int) -> list[str]:
    """Colours for an ordered quantity, each distinct from the background; one alone is the colour of the writing."""
    return (
        sample_colorscale([colour for _, colour in palette.colormap], list(np.linspace(*palette.ramp, count)))
        if count > 1
        else [palette.ink]
    )


def with_legend(plot: Plot) -> Plot:
    """Only what is named on purpose stands in the legend above."""
    for trace in plot.data:
        trace.setdefault("showlegend", False)
    return plot.update(showlegend=True, legend={"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0})
