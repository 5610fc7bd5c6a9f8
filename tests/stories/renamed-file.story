# The way to another file name: stop, rename the file, say so by the mark, start.
document trigpointing-valkey.yaml
settle quietly
edit filename: dump.rdb => filename: cache.rdb
settle
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 0}
settle quietly
hand efs TagResource {"ResourceId": "$access_point", "Tags": [{"Key": "valkeep.dev/data-file", "Value": "cache.rdb"}]}
settle
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 1}
settle
conditions
