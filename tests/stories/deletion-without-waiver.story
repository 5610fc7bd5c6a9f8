# The document asks for its deletion and says nothing of the data. There is no final backup, so nothing at all is touched:
# the cache goes on serving until somebody decides.
document trigpointing-valkey.yaml
settle quietly
edit metadata: => metadata:\n  annotations: {valkeep.dev/delete: trigpointing-valkey}
settle
conditions

# Never mind: without the annotation all is as before.
document trigpointing-valkey.yaml
settle
conditions
