"""Fixtures that several tests share."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random state."""
    torch.manual_seed(0)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request) -> torch.device:
    """The CPU, and CUDA where there is one."""
    return torch.device(request.param)


def pytest_collection_modifyitems(items) -> None:
    """Leave the CUDA variants out where there is no CUDA: they are not this machine's tests."""
    if not torch.cuda.is_available():
        items[:] = [item for item in items if "cuda" not in item.keywords]
