# What a disk image has beside `packages`, which light devices have too: one Debian package a line. They are unpacked, not
# installed: nothing of them runs on the device but the kernel.

# The one for virtual machines: few drivers, all that the engine asks for.
linux-image-cloud-amd64
grub-efi-amd64-bin
# for the first program, which has no libraries
busybox-static
e2fsck-static
