# The seed's rollback option 2, and back. While snapshots are off the dump ages; on the way back somebody must say what to keep.
document trigpointing-valkey.yaml
settle quietly
edit preset: Balanced => preset: Off
settle
conditions
valkey restarted
valkey keys 500
valkey unsaved 500
edit preset: Off => preset: Balanced
settle
conditions

# BGSAVE by hand: the dump is the live data now.
advance 60
valkey saved
settle
conditions
