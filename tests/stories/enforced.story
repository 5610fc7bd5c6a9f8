# A policy of the file system comes and goes with enforceTlsAndIam.
document trigpointing-valkey.yaml
settle quietly

edit enforceTlsAndIam: false => enforceTlsAndIam: true
settle

# Somebody replaces it.
hand efs PutFileSystemPolicy {"FileSystemId": "$file_system", "Policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":[\"elasticfilesystem:ClientMount\"]}]}"}
settle

edit enforceTlsAndIam: true => enforceTlsAndIam: false
settle
conditions
