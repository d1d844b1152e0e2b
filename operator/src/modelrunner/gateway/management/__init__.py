"""Models made, changed and removed through the gateway's API: requests become Model objects."""
