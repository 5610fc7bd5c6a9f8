# The deletion is taken back when service and access point are gone already: the directory is still there, and what its
# access point knew of the files in it is known to the next one.
document trigpointing-valkey.yaml
settle quietly
edit metadata: => metadata:\n  annotations: {valkeep.dev/delete: trigpointing-valkey, valkeep.dev/delete-without-backup: trigpointing-valkey}
pass
advance 60
pass
advance 120
pass
document trigpointing-valkey.yaml
settle quietly
conditions
