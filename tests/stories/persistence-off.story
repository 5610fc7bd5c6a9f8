# The seed's rollback option 1: no volume, no snapshots, the file system kept.
document trigpointing-valkey.yaml
settle quietly
edit enabled: true                    # false: => enabled: false # false:
settle
conditions
