# Somebody changes AWS by hand. Each change is put back; a rule that is not ours is left.
document trigpointing-valkey.yaml
settle quietly

# Our rule for the tasks goes.
hand ec2 RevokeSecurityGroupIngress {"GroupId": "$security_group", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{"GroupId": "sg-0cccccccccccccccc"}]}]}
settle

# Somebody opens the group to an address.
hand ec2 AuthorizeSecurityGroupIngress {"GroupId": "$security_group", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}]}
settle

# The role's policy is emptied.
hand iam PutRolePolicy {"RoleName": "trigpointing-ecs-task-role", "PolicyName": "$role_policy", "PolicyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[]}"}
settle

# The service is made to overlap its tasks.
hand ecs UpdateService {"cluster": "trigpointing-cluster", "service": "trigpointing-valkey", "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 200}}
settle

# Files are no longer moved to infrequent access.
hand efs PutLifecycleConfiguration {"FileSystemId": "$file_system", "LifecyclePolicies": []}
settle
conditions
