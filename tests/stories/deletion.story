# The document asks for its own deletion, data included. What was made last goes first, each part when the one before is
# gone for good; the log is kept. Afterwards the document may be removed, or made true anew.
document trigpointing-valkey.yaml
edit enforceTlsAndIam: false => enforceTlsAndIam: true
settle quietly
edit metadata: => metadata:\n  annotations: {valkeep.dev/delete: trigpointing-valkey, valkeep.dev/delete-without-backup: trigpointing-valkey}
settle
conditions
