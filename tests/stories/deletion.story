# The document asks for its own deletion, data included. What was needed last goes first, each step when the one before it
# is over, and the log is kept. Mount targets and their interfaces take their time.
document trigpointing-valkey.yaml
edit enforceTlsAndIam: false => enforceTlsAndIam: true
settle quietly
edit name: trigpointing-valkey\n => name: trigpointing-valkey\n  annotations: {valkeep.dev/delete: trigpointing-valkey, valkeep.dev/delete-without-backup: trigpointing-valkey}\n
settle
conditions
