# What the boot menu of the system tree asks for beyond the recipe's own: the root is found by its label.
GRUB_BUILDIN:append:os = " search_label gzio"
