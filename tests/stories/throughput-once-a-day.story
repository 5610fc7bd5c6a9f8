# EFS changes the throughput mode once in 24 hours. valkeep remembers its own change in a tag and says when it may again.
document trigpointing-valkey.yaml
settle quietly
edit throughputMode: bursting => throughputMode: elastic
settle
edit throughputMode: elastic => throughputMode: bursting
pass
conditions
advance 86400
settle
conditions
