# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154 # sourced: variables cross files
# Directories of the host under Linux's virtio-fs: what one side does, the other one sees.

FILES=/images/files

# share: a directory with a few files; the guest's script comes from standard input.
share() {
	mkdir -p shared/sub rd
	cp $FILES rd/files
	echo 'from the host' >shared/file
	ln -s /etc/passwd shared/out
	ln -s file shared/in
	{
		echo "mount -t ${MOUNT:-virtiofs} tag /mnt || echo 'no mount'"
		cat
	} >guest.sh
	script <guest.sh
}

# share_guest [KEYS [ARGS...]]: mounted by the guest at /mnt.
share_guest() {
	keys=$1
	[ $# = 0 ] || shift
	guest --mem 256 --shared-dir "$T/shared:tag:type=${TYPE:-fs}$keys" "$@" $KERNEL
}

test_shared_dir() {
	share <<-'END'
		cat /mnt/file
		echo 'from the guest' >/mnt/new && cat /mnt/new
		mkdir /mnt/sub/dir && mv /mnt/new /mnt/sub/dir/moved && ls -l /mnt/sub/dir /mnt
		ln /mnt/file /mnt/hard && stat -c 'links: %h' /mnt/file
		rm /mnt/hard
		head -c 3000000 /dev/urandom >/mnt/big && sync
		echo "big: $(sha256sum </mnt/big)"
		echo 3 >/proc/sys/vm/drop_caches
		echo "again: $(sha256sum </mnt/big)"
		umount /mnt && echo unmounted
	END
	share_guest
	expect 0 'from the host'
	expect 0 'from the guest'
	expect 0 'links: 2'
	expect 0 unmounted
	[ "$(cat shared/sub/dir/moved)" = 'from the guest' ] || fail 'the host does not see the file'
	[ ! -e shared/new ] || fail 'the old name is still there'
	[ ! -e shared/hard ] || fail 'the name that was taken away is there'
	expect 0 "big: $(sha256sum <shared/big)"
	expect 0 "again: $(sha256sum <shared/big)"
}

test_shared_dir_obeys_posix() {
	share <<-'END'
		/files rules /mnt/rules
		echo "rules: $?"
	END
	share_guest
	expect 0 'rules: 0'
}

# Root may name anyone on the host, too; others themselves alone, as in any user namespace of theirs.
test_shared_dir_access_lists() {
	share <<-'END'
		/files lists /mnt/lists
		echo "lists: $?"
	END
	share_guest
	expect 0 'lists: 0'
	case $AS in
	'') named='is named' mode=650 ;;
	*) named='is not named: Invalid argument' mode=600 ;;
	esac
	expect 0 "files: somebody else $named\$"
	# The last mask stays, as the group's mode.
	[ "$(stat -c %a shared/lists/file)" = $mode ] || fail "the file's mode: $(stat -c %a shared/lists/file)"
}

# What is cached, where, must not show.
test_shared_dir_random_io() {
	share <<-'END'
		for mode in auto never always back; do
			mount -t virtiofs $mode /tmp && /files random /tmp/random 7 400
			echo "$mode: $?"
			umount /tmp
		done
	END
	mkdir d
	share_guest '' --shared-dir "$T/d:auto:type=fs" --shared-dir "$T/d:never:type=fs:cache=never" \
		--shared-dir "$T/d:always:type=fs:cache=always" \
		--shared-dir "$T/d:back:type=fs:cache=always:writeback=true"
	for mode in auto never always back; do expect 0 "$mode: 0"; done
}

test_shared_dir_read_only() {
	share <<-'END'
		cat /mnt/file
		for deed in 'echo x >/mnt/file' 'echo x >/mnt/new' 'rm /mnt/file' 'mkdir /mnt/d' \
			'mv /mnt/file /mnt/f2' 'chmod 600 /mnt/file' 'ln -s x /mnt/l' 'touch /mnt/file'; do
			sh -c "$deed" 2>/dev/null && echo "done: $deed"
		done
		mount -o remount,rw /mnt
		echo x >/mnt/file || echo 'still not'
		sum=$(sha256sum </mnt/sub/data) && echo "sum: $sum"
	END
	head -c 1000000 /dev/urandom >shared/sub/data
	share_guest :ro=true
	expect 0 'from the host'
	expect 0 'still not'
	expect 0 "sum: $(sha256sum <shared/sub/data)"
	! grep -q '^done:' out || fail "$(grep '^done:' out)"
	[ "$(cat shared/file)" = 'from the host' ] || fail 'the file was changed'
}

test_shared_dir_ends_where_it_ends() {
	share <<-'END'
		ls /mnt/.. | grep -q '^suite$' && echo "the host's root"
		cat /mnt/out 2>&1 | grep -q root: && echo "the host's file"
		cat /mnt/in
		stat -c 'owner: %u %g' /mnt/file
		chown 5:5 /mnt/file 2>/dev/null && echo 'chown worked'
		chmod 4755 /mnt/file 2>/dev/null && echo 'set-uid worked'
		mknod /mnt/null c 1 3 2>/dev/null && echo 'mknod worked'
		ls /mnt/proc | wc -l | sed 's/^/in proc: /'
		cat /mnt/devices/null 2>&1 | head -c 100
		echo over
	END
	mkdir -p shared/devices shared/proc
	[ -n "$AS" ] || mknod shared/devices/null c 1 3
	[ -n "$AS" ] || mount --bind /proc shared/proc
	share_guest :uid=3:gid=4
	[ -n "$AS" ] || umount shared/proc
	expect 0 'from the host'
	expect 0 'owner: 3 4'
	expect 0 'in proc: 0'
	expect 0 '^over'
	! grep -q "the host's\|worked" out || fail "$(grep "the host's\|worked" out)"
}

test_shared_dir_many_files() {
	share <<-'END'
		cd /mnt
		for d in $(seq 30); do
			mkdir d$d
			(cd d$d && for f in $(seq 40); do echo $d/$f >f$f; done)
		done
		echo "files: $(find /mnt/d* -type f | wc -l)"
		tar cf /tmp/t.tar d1 d2 d3 && mkdir copy && tar xf /tmp/t.tar -C copy
		for d in 1 2 3; do diff -r d$d copy/d$d; done && echo same
		rm -rf copy d1 d2
		ls | wc -l
		cd / && umount /mnt && echo unmounted
	END
	share_guest
	expect 0 'files: 1200'
	expect 0 same
	expect 0 unmounted
	[ "$(find shared/d* -type f | wc -l)" = 1120 ] || fail "$(find shared/d* -type f | wc -l) files left"
	[ "$(cat shared/d30/f40)" = 30/40 ] || fail 'a file has other contents'
}

# The same by 9P.
TYPE_P9='9p -o trans=virtio,version=9p2000.L,msize=131072,cache=mmap'
test_shared_dir_9p() {
	TYPE=p9 MOUNT=$TYPE_P9
	test_shared_dir
}
test_shared_dir_9p_read_only() {
	TYPE=p9 MOUNT=$TYPE_P9
	test_shared_dir_read_only
}
test_shared_dir_9p_ends_where_it_ends() {
	TYPE=p9 MOUNT=$TYPE_P9
	test_shared_dir_ends_where_it_ends
}
test_shared_dir_9p_obeys_posix() {
	TYPE=p9 MOUNT=$TYPE_P9
	share <<-'END'
		/files rules /mnt/rules
		/files random /mnt/random 9 400
		echo "random: $?"
	END
	share_guest
	expect 0 'random: 0'
	# What 9P2000.L, or Linux's client of it, has not: exchanged names, files without one, times
	# of less than a second.
	grep 'files: broken' out | grep -v 'exchanged\|without a name\|times are set' >bad
	[ ! -s bad ] || fail "$(head -n 1 bad)"
}

# Two directories in two processes; what the host changes is seen.
test_shared_dirs_of_two_kinds() {
	share <<-'END'
		mount -t virtiofs two /tmp
		cat /tmp/now
		exec 3<>/dev/hvc0 # what arrives while it is closed is lost
		echo ready >&3
		read -r line <&3
		echo "then: $(cat /tmp/now)"
		cat /tmp/now >/mnt/copied
	END
	mkdir two
	echo before >two/now
	mkfifo up down
	(
		read -r line <up
		echo after >two/now
		echo go >down
	) &
	share_guest '' --shared-dir "$T/two:two:type=fs:cache=never:ro=true" \
		--serial type=file,path=up,input=down,hardware=virtio-console
	kill $! 2>/dev/null # where the guest did not come so far
	wait
	expect 0 before
	expect 0 'then: after'
	[ "$(cat shared/copied)" = after ] || fail 'the other one does not have it'
}

# Landlock lets the device have the directory, and nothing else.
test_shared_dir_without_namespaces() {
	share <<-'END'
		cat /mnt/file
		mkdir /mnt/sub/dir && echo new >/mnt/sub/new && mv /mnt/sub/new /mnt/sub/dir/moved
		echo "moved: $(cat /mnt/sub/dir/moved)"
	END
	limit=/proc/sys/user/max_user_namespaces
	was=$(cat $limit)
	echo 0 >$limit
	AS=user
	share_guest
	echo "$was" >$limit
	expect 0 'from the host'
	expect 0 'moved: new'
	[ -n "$MAYFLY_OPTIONS" ] || grep -q 'this host gives no namespaces' err || fail 'nothing was said'
}

test_shared_dir_refusals() {
	mkdir -p shared
	refused 35 "^mayfly: --shared-dir: 'x' is not PATH:TAG:type=fs or p9$" --shared-dir x $KERNEL
	refused 35 '^mayfly: --shared-dir: type: is needed: fs or p9$' --shared-dir "$T/shared:t" $KERNEL
	refused 35 '^mayfly: --shared-dir: cache, .*: only with type=fs$' \
		--shared-dir "$T/shared:t:type=p9:cache=auto" $KERNEL
	refused 35 "^mayfly: --shared-dir: 'dax' is not a known key$" --shared-dir "$T/shared:t:type=fs:dax=true" $KERNEL
	refused 35 "^mayfly: --shared-dir: tag: '' has not 1 to 36 bytes$" \
		--shared-dir "$T/shared::type=fs" $KERNEL
	refused 35 "^mayfly: --shared-dir: tag: 't' is used twice$" --shared-dir "$T/shared:t:type=fs" \
		--shared-dir "$T/shared:t:type=fs" $KERNEL
	refused 1 '^mayfly: --shared-dir: /nowhere: No such file or directory$' \
		--shared-dir /nowhere:t:type=fs $KERNEL
	refused 1 "^mayfly: --shared-dir: $KERNEL: Not a directory$" --shared-dir "$KERNEL:t:type=fs" $KERNEL
}

FS='shared_dir shared_dir_obeys_posix shared_dir_access_lists shared_dir_random_io shared_dir_read_only
	shared_dir_ends_where_it_ends shared_dir_many_files shared_dirs_of_two_kinds
	shared_dir_9p shared_dir_9p_read_only shared_dir_9p_ends_where_it_ends shared_dir_9p_obeys_posix
	shared_dir_without_namespaces shared_dir_refusals'
