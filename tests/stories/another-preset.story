# Another preset is a new definition and one UpdateService. Back again, the first revision is found by its hash.
document trigpointing-valkey.yaml
settle quietly
edit preset: Balanced => preset: Frequent
settle
edit preset: Frequent => preset: Balanced
settle
conditions
