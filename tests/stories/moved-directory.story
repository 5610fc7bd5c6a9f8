# The way that the hints tell for another directory: stop, copy the files, delete the access point, start.
document trigpointing-valkey.yaml
settle quietly
edit path: /valkey-data => path: /elsewhere
settle
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 0}
settle quietly
hand efs DeleteAccessPoint {"AccessPointId": "$access_point"}
settle
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "desiredCount": 1}
settle
conditions
