# The way to another file system: the running server stays where its data is until somebody says that the data was moved.
document minimal.yaml
settle quietly
hand efs CreateFileSystem {"CreationToken": "next", "Encrypted": true, "ThroughputMode": "elastic"}
advance 60
edit   network: =>   fileSystem: {id: $FileSystemId}\n  network:
settle
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 0}
settle quietly
hand efs TagResource {"ResourceId": "$access_point", "Tags": [{"Key": "valkeep.dev/moved-from", "Value": "$mounted"}]}
settle
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 1}
settle
conditions
