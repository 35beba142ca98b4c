"""The Python under each figure: what makes it from ``loaded``, ``images``, ``image`` and ``gates`` (see Visit.python)."""


from ..networks.zoo import NETWORKS, Entry


def row(entry: Entry) -> str:
    """How a program names a row of the table, or a file of the visitor's own."""
    return f'NETWORKS["{entry.name}"]' if entry.name in NETWORKS else f'local_entries(Path("{entry.weights}"))[0][0]'
