# What AWS cannot change in place is stalled, and the service goes on as it was.
document trigpointing-valkey.yaml
settle quietly
edit path: /valkey-data => path: /elsewhere
settle
conditions
edit path: /elsewhere => path: /valkey-data
edit encrypted: true => encrypted: false
settle
conditions
edit encrypted: false => encrypted: true
edit filename: dump.rdb => filename: other.rdb
settle
conditions
edit filename: other.rdb => filename: dump.rdb
settle
conditions
