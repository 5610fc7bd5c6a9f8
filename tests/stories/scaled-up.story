# Two tasks on one directory would only wait for each other's lock; the service goes back to one.
document minimal.yaml
settle quietly
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 3}
settle
conditions
