"""What is made for people who install: the chart's copies and static manifests."""
