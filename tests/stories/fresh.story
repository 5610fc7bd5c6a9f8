# A fresh document: everything is made in order, the service comes up when mounting by name can work.
document trigpointing-valkey.yaml
settle
conditions
