# The seed's rollback option 1: no volume, no snapshots, the file system kept.
document trigpointing-valkey.yaml
settle
edit enabled: true                    # false: => enabled: false # false:
settle
conditions
