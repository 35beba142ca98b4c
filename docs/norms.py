"""The training that *Gradient flow* opens with: ``python -m docs.norms`` records an epoch of fashion-resnet56 (three minutes)."""

import torch
from torch.nn import functional

import resnet_viz
from resnet_viz.experiments.training import Schedule, augment, optimizer_of
from resnet_viz.networks.datasets import full_fashion
from resnet_viz.networks.zoo import NETWORKS
from resnet_viz.recipes.gradient_flow import EXAMPLE


def main() -> None:
    entry, schedule, (images, _) = NETWORKS["fashion-resnet56"], Schedule(epochs=1), full_fashion(None)
    assert images.labels is not None
    network = entry.build(seed=schedule.seed).to(memory_format=torch.channels_last).train()
    optimizer = optimizer_of(network, schedule.max_learning_rate, schedule.momentum, schedule.weight_decay)
    generator = torch.Generator().manual_seed(schedule.seed)
    batches = torch.randperm(len(images), generator=generator).split(schedule.batch_size)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.max_learning_rate, total_steps=len(batches))
    with resnet_viz.watch(network, EXAMPLE, every=10):
        for batch in batches:
            pixels = augment(images.pixels[batch], schedule.shift, generator)
            optimizer.zero_grad()
            functional.cross_entropy(network(entry.preprocessing.normalise(pixels)), images.labels[batch]).backward()
            optimizer.step()
            rates.step()
    print(EXAMPLE)


if __name__ == "__main__":
    main()
