# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154 # sourced by run
# Linux's own front end of vhost-user, virtio_uml, in a Linux that is a process of this machine
# (User Mode Linux). Files are served there several times faster than in an emulated host, so
# this is where there are more of them than mayfly may have descriptors.

uml_modules=/usr/lib/uml/modules

# uml_root DIR: a root file system: busybox, the modules, the tests' program, a script.
uml_root() {
	local module
	mkdir -p "$1"/{bin,dev,proc,sys,mnt,tmp,modules}
	cp /bin/busybox "$1/bin/busybox"
	gcc -std=gnu17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static -o "$1/bin/files" \
		"$TOP/tests/guest/files/files.c" || die "gcc fails"
	for module in fuse virtiofs; do
		cp "$uml_modules"/*/kernel/fs/fuse/$module.ko "$1/modules/" || die "user-mode-linux has no $module"
	done
	cat >"$1/init" <<-'END'
		#!/bin/busybox sh
		exec >/out 2>&1
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		insmod /modules/fuse.ko && insmod /modules/virtiofs.ko && mount -t virtiofs shared /mnt && echo mounted
		files rules /mnt/rules && echo 'no rule is broken'
		files random /mnt/random 11 4000 && echo 'random: the same'
		cd /mnt
		for d in $(seq 40); do
			mkdir many$d
			for f in $(seq 100); do echo $d $f >many$d/$f; done
		done
		# The kernel's names and inodes are as many as mayfly's nodes; their contents are read again.
		echo 1 >/proc/sys/vm/drop_caches
		for d in $(seq 40); do mv many$d moved$d; done
		echo "files: $(cat moved*/* | sort -n -k 1,1 -k 2,2 | sha256sum | cut -d' ' -f1)"
		exec 5<moved7/7
		rm moved7/7
		find moved* -type f | wc -l
		read -r line <&5 && echo "removed: $line"
		exec 5<&-
		rm -r moved*
		cd /
		umount /mnt
		echo 'the end'
		sync
		halt -f
	END
	chmod 755 "$1/init"
}
uml_said() { grep -qxF -- "$1" "$work/uml/out"; }
uml_few_descriptors() { [ "$(cat "$work/uml.most")" -le 1100 ] && [ "$(cat "$work/uml.most")" -ge 500 ]; }
uml_ended_well() { [ "$(cat "$work/uml-share.status")" = 0 ] && [ ! -s "$work/uml-share.said" ]; }

# uml_watch: the most descriptors that the device's process was seen with.
uml_watch() {
	local most=0 now pid='' i
	for ((i = 0; i < 100 && ${#pid} == 0; i++)); do
		sleep 0.1
		# Its title, which is not what this command has for an argument.
		pid=$(grep -las "^[m]ayfly: --shared-dir $work/uml-shared:shared" /proc/[0-9]*/cmdline)
	done
	pid=${pid#/proc/} pid=${pid%%/*}
	while now=$(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l) && [ "$now" -gt 0 ]; do
		[ "$now" -le "$most" ] || most=$now
		sleep 0.2
	done
	echo "$most" >"$work/uml.most"
}

uml_needed() { command -v linux.uml >/dev/null || die "linux.uml is missing: tools/setup test"; }

# uml_run LIMIT INIT MIB ROOT MODE: the Linux, with the directory that uml-share serves. Its memory is a
# file, which a small /dev/shm has no room for.
uml_run() {
	TMPDIR=$work timeout -s KILL "$1" linux.uml "init=$2" "mem=${3}M" rootfstype=hostfs "rootflags=$4" "$5" \
		"virtio_uml.device=$work/uml-share.sock:26" con=null con0=null,fd:1 \
		</dev/null >"$work/uml.console" 2>&1
}

# By hand, for it takes half an hour: the sources of a kernel in the file TREE are unpacked, made and
# deleted on a shared directory, by this machine's own programs.
tree() {
	uml_needed
	[ -f "${TREE:-}" ] || die 'tree: TREE names a file with the sources of a kernel, for tar'
	mkdir "$work/uml-shared"
	cat >"$work/tree-init" <<-END
		#!/bin/sh
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt TMPDIR=/mnt
		step() {
			begin=\$(cut -d. -f1 /proc/uptime)
			"\$@" >/mnt/said 2>&1
			echo "tree: status \$?, \$((\$(cut -d. -f1 /proc/uptime) - begin)) s: \$*"
		}
		mount -t proc proc /proc
		busybox insmod "$(echo $uml_modules/*/kernel/fs/fuse/fuse.ko)"
		busybox insmod "$(echo $uml_modules/*/kernel/fs/fuse/virtiofs.ko)"
		mount -t virtiofs shared /mnt && mkdir /mnt/linux && cd /mnt/linux || busybox halt -f
		step tar -xf "$(realpath "$TREE")" --strip-components=1
		echo "tree: \$(find . | wc -l) names"
		step make ARCH=x86 tinyconfig
		step make ARCH=x86 vmlinux
		ls -l vmlinux
		cd /
		step rm -r /mnt/linux
		umount /mnt
		busybox halt -f
	END
	chmod 755 "$work/tree-init"
	SERVE_LIMIT=7200 serve uml-share fs "$work/uml-shared:shared"
	uml_run 7200 "$work/tree-init" 1500 / ro
	wait
	tr -d '\r' <"$work/uml.console" | grep '^tree: \|vmlinux'
	judge a_kernel_is_made_on_our_directory [ "$(grep -c '^tree: status 0' "$work/uml.console")" = 4 ]
}

uml() {
	local before=$failed
	uml_needed
	mkdir "$work/uml-shared"
	uml_root "$work/uml"
	# Fewer descriptors than files, by far.
	(
		ulimit -n 1100
		serve uml-share fs "$work/uml-shared:shared"
	)
	[ -S "$work/uml-share.sock" ] || exit 1 # it said why
	uml_watch &
	uml_run 300 /init 256 "$work/uml" rw
	if [ ! -s "$work/uml/out" ] && grep -qi 'ptrace.*fail' "$work/uml.console"; then
		count "skipped uml: no process may trace another here"
		return
	fi
	wait
	judge uml_mounts_our_directory uml_said mounted
	judge uml_breaks_no_rule uml_said 'no rule is broken'
	judge uml_reads_what_it_wrote uml_said 'random: the same'
	judge uml_has_more_files_than_we_have_descriptors uml_said \
		"files: $(for d in $(seq 40); do for f in $(seq 100); do echo "$d $f"; done; done | sum)"
	judge uml_finds_all_of_them uml_said 3999
	judge uml_reads_one_that_it_removed uml_said 'removed: 7 7'
	judge uml_comes_to_its_end uml_said 'the end'
	judge our_device_had_few_descriptors uml_few_descriptors
	judge our_device_ends_with_uml uml_ended_well
	[ "$failed" = "$before" ] || tail -n 30 "$work/uml/out" "$work/uml.console" "$work/uml-share.said" >&2
}
