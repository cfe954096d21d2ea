"""PyTorch's tensors and models: equal when made again or copied, told apart when they differ."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hashing.libraries.test_others import check


def test_tensors() -> None:
    """A tensor is its elements, type, shape and what else a pickle of it holds, wherever in memory it lies."""
    torch = pytest.importorskip("torch")

    def model(weight: float) -> Any:
        made = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU())
        torch.nn.init.constant_(made[0].weight, weight)
        torch.nn.init.constant_(made[0].bias, 1)
        return made

    check(
        lambda: torch.arange(3),
        lambda: torch.arange(3)[:2],
        lambda: torch.arange(3.0),
        lambda: torch.tensor([0.0, 1.0, 3.0]),
        lambda: torch.tensor([[0.0, 1.0, 2.0]]),
        lambda: torch.arange(3.0, requires_grad=True),
        lambda: torch.nn.Parameter(torch.arange(3.0)),
        lambda: torch.arange(3.0, dtype=torch.bfloat16),
        lambda: torch.empty(0),
        lambda: torch.empty(3, device="meta"),
        lambda: torch.tensor([1.0, 0.0]).to_sparse(),
    )
    check(lambda: model(1), lambda: model(2), lambda: model(2).eval(), lambda: model(1).state_dict())
