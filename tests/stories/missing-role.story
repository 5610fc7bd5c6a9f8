# The task role does not exist. valkeep makes no roles; everything that needs none is made, the service waits.
document trigpointing-valkey.yaml
edit name: trigpointing-ecs-task-role => name: nobody
pass
conditions
hand iam CreateRole {"RoleName": "nobody", "AssumeRolePolicyDocument": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ecs-tasks.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}"}
settle quietly
conditions
