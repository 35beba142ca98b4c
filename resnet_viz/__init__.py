"""resnet_viz: explore residual networks by touching them."""
