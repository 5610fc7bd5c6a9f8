# Desired count 0 that somebody else sets is their wish, and stays.
document minimal.yaml
settle quietly
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 0}
settle
conditions
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 1}
settle
conditions

# The document's own is reached with a snapshot before, and ended by the document.
valkey unsaved 5
edit     create: =>     desiredCount: 0\n    create:
settle
conditions
edit desiredCount: 0 => desiredCount: 1
settle
conditions
