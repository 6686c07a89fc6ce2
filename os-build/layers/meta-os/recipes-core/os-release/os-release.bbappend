# What the agent and the workstation read of the system: `SLUG` is what a cloud calls this kind of device. Tools of the
# ecosystem find fields by pattern, with quotation marks.
OS_RELEASE_FIELDS:append:os = " MACHINE SLUG"
OS_RELEASE_UNQUOTED_FIELDS:os = ""
SLUG:os = "${OS_DEVICE_TYPE}"
