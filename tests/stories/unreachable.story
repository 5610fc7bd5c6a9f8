# valkeep cannot reach Valkey: nothing on AWS waits for that, and nobody is told that all is well.
document trigpointing-valkey.yaml
valkey unreachable
settle quietly
conditions
