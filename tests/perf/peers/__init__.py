"""What the gateway is measured beside, each from packages, each as lean as it can be set."""
