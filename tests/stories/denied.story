# A permission is missing. What does not need it is made; the rest waits and names the permission.
document trigpointing-valkey.yaml
fault DescribeFileSystems AccessDenied
pass
conditions
no faults
settle
conditions
