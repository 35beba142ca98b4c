"""Other people's networks, taken by ``resnet_viz.adapt`` and compared with themselves."""
