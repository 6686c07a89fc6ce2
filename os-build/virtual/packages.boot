# What a disk image has beside `packages`, which light devices have too: one Debian package a line. They are unpacked, not
# installed: nothing of them runs on the device but the kernel. ARCH is what Debian calls the processor.

# The one for virtual machines: few drivers, all that the engine asks for.
linux-image-cloud-ARCH
grub-efi-ARCH-bin
# for the first program, which has no libraries
busybox-static
e2fsck-static
