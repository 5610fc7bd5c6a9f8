# Desired count 0 that somebody else sets is their wish, and stays.
document minimal.yaml
settle quietly
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 0}
settle
conditions
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 1}
settle
conditions
