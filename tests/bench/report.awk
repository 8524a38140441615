# SPDX-License-Identifier: BSD-3-Clause
#
# Turns what tests/bench/inside printed, behind "fact" lines, into docs/bench.md or, of another
# architecture than x86_64, docs/bench-ARCH.md.
# Lines: MONITOR VARIANT ROUND KIND ...; a time is a sample per round, a counter stands once
# per mark.

function fail(why) {
	print "tests/bench/report.awk: " why >"/dev/stderr"
	failed = 1
	exit 1
}

$1 == "fact" {
	key = $2
	sub(/^fact [^ ]* /, "")
	fact[key] = $0
	next
}
$4 == "map" && $3 == 1 {
	gsub(/[a-z]*=/, "")
	if ($7 < 262144)
		maps[$1] = maps[$1] "| " $6 " | " $7 " | " $8 " | " $10 " |\n"
	next
}
!($1 in seen) { seen[$1] = 1; monitor[++nr] = $1 }
$4 == "time" && $3 > 0 && $6 >= 0 { sample[$1, $2, $5, ++n[$1, $2, $5]] = $6 / 1000 }
$4 == "memory" && $3 > 0 { memory[$1, $6 ($2 == "memory" ? "" : "." $2)] = $7 }
$4 == "count" { count[$1, $5, $6] = $7 }

# ms(MONITOR, VARIANT, KEY): the median, or -1.
function ms(m, v, k,    i, j, c, t, s) {
	c = n[m, v, k]
	if (!c)
		return -1
	for (i = 1; i <= c; i++) {
		t = sample[m, v, k, i]
		for (j = i - 1; j > 0 && s[j] > t; j--)
			s[j + 1] = s[j]
		s[j + 1] = t
	}
	return c % 2 ? s[(c + 1) / 2] : (s[c / 2] + s[c / 2 + 1]) / 2
}

function cell(x, digits) {
	return x < 0 ? "-" : sprintf("%." digits "f", x)
}

# Of one number over another: the ratio, or a dash.
function over(a, b) {
	return a < 0 || b <= 0 ? "-" : sprintf("%.2f", a / b)
}

# The heads of a table whose columns are monitors, and a last one when there is a name for it.
function header(first, last,    i, line, rule) {
	line = "| " first " |"
	rule = "| --- |"
	for (i = 1; i <= nr; i++) {
		line = line " " title[monitor[i]] " |"
		rule = rule " ---: |"
	}
	if (last)
		print line " " last " |\n" rule " ---: |"
	else
		print line "\n" rule
}

# Without a ratio where the first thing said is not the same thing.
function time_row(what, v, k, alone,    i, line) {
	line = "| " what " |"
	for (i = 1; i <= nr; i++)
		line = line " " cell(ms(monitor[i], v, k), 1) " |"
	print line " " (alone ? "" : over(ms("mayfly", v, k), best(v, k))) " |"
}

# From init's word to the end.
function off(m,    a, b) {
	a = ms(m, "quiet", "init")
	b = ms(m, "quiet", "exit")
	return a < 0 || b < 0 ? -1 : b - a
}

function off_row(what,    i, line, x, least) {
	line = "| " what " |"
	least = -1
	for (i = 1; i <= nr; i++) {
		x = off(monitor[i])
		line = line " " cell(x, 1) " |"
		if (is_peer(monitor[i]) && x >= 0 && (least < 0 || x < least))
			least = x
	}
	print line " " over(off("mayfly"), least) " |"
}

function memory_row(what, k,    i, line) {
	line = "| " what " |"
	for (i = 1; i <= nr; i++)
		line = line " " ((monitor[i], k) in memory ? memory[monitor[i], k] : "-") " |"
	print line
}

# What k grew by for a request: between marks 1 and 2, less than between marks 0 and 1, where
# there were no requests.
function per_request(m, k) {
	if (!((m, "end", k) in count) || !((m, "end", "kvm.exits") in count))
		return -1e9
	return (count[m, "end", k] - 2 * count[m, "begin", k] + count[m, "zero", k]) / fact["requests"]
}
function interrupts(m) {
	return (count[m, "mark2", "irqs"] - count[m, "mark1", "irqs"]) / fact["requests"]
}

function count_row(what, k,    i, line, x) {
	line = "| " what " |"
	for (i = 1; i <= nr; i++) {
		if (monitor[i] ~ /-(vmlinux|plain)$/)
			continue
		x = k == "irqs" ? interrupts(monitor[i]) : per_request(monitor[i], k)
		line = line " " (x < -1e8 || !((monitor[i], "end", "kvm.exits") in count) ? "-" : sprintf("%.0f", x * 1000)) " |"
	}
	print line
}

function per_interrupt_row(what, k,    i, line, x, y) {
	line = "| " what " |"
	for (i = 1; i <= nr; i++) {
		if (monitor[i] ~ /-(vmlinux|plain)$/)
			continue
		x = per_request(monitor[i], k)
		y = interrupts(monitor[i])
		line = line " " (x < -1e8 || y <= 0 ? "-" : sprintf("%.0f", x / y * 1000)) " |"
	}
	print line
}

# Another monitor with the same kernel file.
function is_peer(m) {
	return m !~ /^mayfly/ && m !~ /-vmlinux$/
}

# The smallest of a figure among the peers; -1 when none has it.
function best(v, k,    i, x, b) {
	b = -1
	for (i = 1; i <= nr; i++) {
		x = ms(monitor[i], v, k)
		if (is_peer(monitor[i]) && x >= 0 && (b < 0 || x < b))
			b = x
	}
	return b
}

function bar(ok, text) {
	print "- [" (ok ? "x" : " ") "] " text
}

# Is mayfly's time not the smaller one? A peer that does not have it is no reason.
function behind(m, p, v, k) {
	return ms(p, v, k) >= 0 && ms(m, v, k) >= ms(p, v, k)
}

# Is m, with or without jails, ahead of peer p in everything that both have? Memory is judged
# by one process beside one process.
function ahead(m, p, how,    bad) {
	bad = ""
	if (behind(m, p, "early", "first"))
		bad = bad ", first byte"
	if (behind(m, p, "early", "linux"))
		bad = bad ", \"Linux version\""
	if (behind(m, p, "quiet", "init"))
		bad = bad ", init"
	if (off(m) >= off(p))
		bad = bad ", power-off"
	if (behind(m, p, "quiet", "exit"))
		bad = bad ", total"
	if (behind(m, p, "early", "exit"))
		bad = bad ", total of a verbose boot"
	if (memory["mayfly-plain", "private"] >= memory[p, "private"])
		bad = bad ", private memory"
	if (memory["mayfly-plain", "pss"] >= memory[p, "pss"])
		bad = bad ", PSS"
	if (fact["size.mayfly"] + 0 >= fact["size." p] + 0)
		bad = bad ", size"
	if (per_request(p, user_key) > -1e8 && per_request("mayfly", user_key) > per_request(p, user_key) + 0.0005)
		bad = bad ", exits to user space"
	if (per_request(p, "calls") > -1e8 && per_request("mayfly", "calls") >= per_request(p, "calls"))
		bad = bad ", system calls per request"
	bar(bad == "", "ahead of " title[p] " on every figure, " how (bad == "" ? "" : "; not on: " substr(bad, 3)))
}

function both_ahead(p) {
	ahead("mayfly-plain", p, "all of each in one process")
	ahead("mayfly", p, "with each device in a jail of its own")
}

function mib(bytes) {
	return sprintf("%.2f", bytes / 1048576)
}

END {
	if (failed)
		exit 1
	title["mayfly"] = "mayfly"
	title["mayfly-plain"] = "mayfly --disable-sandbox"
	title["mayfly-vmlinux"] = "mayfly, vmlinux"
	pc = fact["arch"] == "x86_64"
	talk = pc ? "earlyprintk=ttyS0" : "earlycon"
	# What counts exits to user space: where the kernel has no histograms, the statistic of the
	# only such exits that a disk request makes.
	traced = ("mayfly", "end", "user_exits") in count
	user_key = traced || pc ? "user_exits" : "kvm.mmio_exit_user"
	image = pc ? "bzImage" : "Image"
	title["qemu"] = pc ? "QEMU microvm" : "QEMU virt"
	title["qemu-vmlinux"] = "QEMU microvm, vmlinux"
	title["kvmtool"] = "kvmtool"
	if (!nr || ms("mayfly", "quiet", "init") < 0)
		fail("mayfly did not boot its guest")

	print "# Measurements\n"
	print "Written by `" ("version.kvmtool" in fact ? "KVMTOOL=/path/to/lkvm " : "") "tests/bench/run " fact["arch"] " --runs " fact["runs"] (fact["requests"] == 2000 ? "" : " --requests " fact["requests"]) "` (`make bench" (pc ? "" : " ARCH=" fact["arch"]) "`: 5 rounds)."
	print "tests/bench/run and the heads of the files beside it say how each figure is made.\n"
	print "- Host: an emulated " fact["arch"] " machine with one processor, Linux " fact["host-kernel"] ", KVM of the kernel. Its"
	print "  clock counts instructions, one a nanosecond, so figures repeat wherever they are made. It does"
	print "  not know caches or memory latency, and an instruction that fills or copies memory costs a"
	print "  nanosecond for each byte or word. Ratios mean more than milliseconds."
	print "- Guest: Linux " fact["kernel"] " without modules, an initramfs of one program, 1 CPU, 256 MiB,"
	if (pc) {
		print "  console on a 16550 for all, the same bzImage for all; \"vmlinux\" is its ELF, entered through the"
		print "  PVH note."
	} else if (fact["arch"] == "aarch64") {
		print "  the same Image for all, console on a 16550 but in QEMU: its machine has a PL011, which this"
		print "  kernel has no driver for. There the console is virtio's, which comes too late to time the"
		print "  kernel's first words by."
	} else {
		print "  console on a 16550 for all, the same Image for all."
	}
	print "- Monitors: " fact["version.mayfly"] ", static; " fact["version.qemu"] (("version.kvmtool" in fact) ? "; " fact["version.kvmtool"] ", static." : "; kvmtool was not there.")
	machine = pc ? "-M microvm,rtc=on" : fact["arch"] == "aarch64" ? "-M virt,gic-version=3 -cpu host" : "-M virt -cpu host"
	if (!pc && !("qemu" in seen))
		print "  QEMU was not there."
	print "  QEMU runs `" machine " -nodefaults -no-user-config -display none -no-reboot`, kvmtool"
	print "  `-n mode=none`, mayfly its defaults: the entropy device and the disk are jailed processes of"
	print "  their own, but for the column --disable-sandbox, which has one process, as the others have."
	print "- Times are medians of " fact["runs"] " rounds, the monitors taking turns; a round before them does not count.\n"

	print "## Time, ms\n"
	header("from exec to", "mayfly / best peer")
	time_row("the guest's first byte (`" talk "`)", "early", "first")
	time_row("\"Linux version\" (`" talk "`)", "early", "linux")
	time_row("the first byte of a quiet boot", "quiet", "first", 1)
	time_row("init (quiet)", "quiet", "init")
	time_row("the monitor's end (quiet)", "quiet", "exit")
	time_row("the monitor's end, " (pc ? 15 : 9) " KB of kernel log on the serial line", "early", "exit")
	off_row("from init's word to the monitor's end")
	print "\nThe best peer is the fastest other monitor with the same " image "."
	print "What a quiet boot says first depends on what its kernel misses in the machine."
	print "Init prints a line and powers off at once" (pc ? "; kvmtool's guest restarts instead, as it has no ACPI" : "") ".\n"

	print "## Memory beside the guest's RAM, KiB\n"
	header("when init speaks")
	memory_row("private", "private")
	memory_row("proportional (PSS)", "pss")
	memory_row("page tables of the process", "tables")
	memory_row("the guest's RAM in use", "guest")
	print "\nFrom smaps of the monitor's processes. One monitor runs, so its program counts as private, unless it has"
	print "several processes. Being ahead in memory is judged by one process beside one process.\n"
	print "mayfly by mapping, KiB; without the guest's RAM:\n"
	print "| mapping | size | resident | private |\n| --- | ---: | ---: | ---: |"
	printf "%s", maps["mayfly"]
	print ""

	print "## Size, MiB\n"
	print "| | stripped program | with its libraries |\n| --- | ---: | ---: |"
	print "| mayfly | " mib(fact["size.mayfly"]) " | " mib(fact["size.mayfly"]) " |"
	if ("size.qemu" in fact)
		print "| QEMU | " mib(fact["size.qemu"]) " | " mib(fact["size.qemu"] + fact["libraries.qemu"]) " |"
	if ("size.kvmtool" in fact)
		print "| kvmtool | " mib(fact["size.kvmtool"]) " | " mib(fact["size.kvmtool"]) " |"

	print "\n## Exits\n"
	line = "| per 1,000 disk requests |"
	rule = "| --- |"
	for (i = 1; i <= nr; i++)
		if (monitor[i] !~ /-(vmlinux|plain)$/) {
			line = line " " title[monitor[i]] " |"
			rule = rule " ---: |"
		}
	print line "\n" rule
	count_row("interrupts of the disk", "irqs")
	count_row("exits to user space", "user_exits")
	count_row("of these KVM_EXIT_MMIO", "user_exits.6")
	if (pc)
		count_row("of these KVM_EXIT_IO", "user_exits.2")
	count_row("all exits (`exits`)", "kvm.exits")
	if (pc) {
		count_row("`io_exits`", "kvm.io_exits")
		count_row("`mmio_exits`", "kvm.mmio_exits")
		count_row("`halt_exits`", "kvm.halt_exits")
		count_row("`insn_emulation`", "kvm.insn_emulation")
		count_row("`irq_injections`", "kvm.irq_injections")
	} else {
		count_row("`mmio_exit_user`", "kvm.mmio_exit_user")
		count_row("`mmio_exit_kernel`", "kvm.mmio_exit_kernel")
		count_row("`wfi_exit_stat`", "kvm.wfi_exit_stat")
	}
	count_row("system calls of the monitor", "calls")
	count_row("times that a thread of it slept and was woken", "sleeps")
	count_row("of these, threads of its first process but the guest's CPUs", "own_sleeps")
	per_interrupt_row("exits to user space per 1,000 interrupts", user_key)
	print "\n" fact["requests"] " requests of 4 KiB at random places, reads and writes by turns, one at a time, past the"
	print "guest's page cache. What the marks around them cost is measured too and taken off. Exits to"
	if (traced || pc) {
		print "user space are counted at the tracepoint kvm_userspace_exit, which every return of KVM_RUN passes."
	} else {
		print "user space are `mmio_exit_user`: this host's kernel has no histograms of tracepoints, which would"
		print "count all of them and system calls too."
	}
	if (pc) {
		print "Of KVM's statistics, `exits` are all exits of the processor; `io_exits` all port instructions, also"
		print "those that the kernel's own devices and doorbells take; `mmio_exits` accesses to device memory that"
		print "go on to user space; `insn_emulation` instructions that KVM emulated, as it does for each store to"
		print "device memory; `halt_exits` the times the guest slept."
	} else {
		print "Of KVM's statistics in debugfs, `exits` are all exits of the processor; `mmio_exit_user` accesses to"
		print "device memory that go on to user space; `mmio_exit_kernel` those that the kernel's own devices and"
		print "doorbells take; `wfi_exit_stat` the times the guest slept. They are there while the machine lives."
	}
	print "mayfly's two exits per request stay in the kernel: the store to QueueNotify and the one to"
	print "InterruptACK are ioeventfds. InterruptStatus is read from a page, without an exit."
	if (fact["arch"] == "riscv64") {
		print "This host has no AIA, so the guest's PLIC is user space's, in every monitor: what goes there for an"
		print "interrupt is in `mmio_exit_user`."
	}
	if (("kvmtool" in seen) && pc)
		print "kvmtool has no virtio-mmio here: its guest is the distribution's kernel with the disk on PCI."
	else if (("kvmtool" in seen) && fact["arch"] == "riscv64")
		print "kvmtool has no disk here: with `--virtio-transport mmio` it did not get to init, and the kernel has no PCI."
	else if ("kvmtool" in seen)
		print "kvmtool's disk is on virtio-mmio, as the others' are (`--virtio-transport mmio`)."

	print "\n## Bars\n"
	b = best("quiet", "init")
	x = ms("mayfly", "quiet", "init")
	bar(b > 0 && x <= 0.75 * b, "exec to init at most 0.75 of the best peer's, same " image ": " over(x, b))
	x = ms("mayfly-vmlinux", "quiet", "init")
	if (pc)
		bar(b > 0 && x > 0 && x <= 0.55 * b, "exec to init with the uncompressed kernel at most 0.55 of the best peer's: " over(x, b) \
			(ms("qemu-vmlinux", "quiet", "init") > 0 ? " (beside QEMU with the same vmlinux: " over(x, ms("qemu-vmlinux", "quiet", "init")) ")" : ""))
	x = ms("mayfly", "early", "first")
	b = ms("qemu", "early", "first")
	if (pc || b > 0)
		bar(b > 0 && x <= 0.25 * b, "the guest's first byte after at most 0.25 of QEMU's time: " over(x, b))
	x = memory["mayfly-plain", "private"]
	bar(x > 0 && x <= 1.2 * 1024, "at most 1.2 MiB private beside the guest's RAM, in one process: " sprintf("%.2f", x / 1024))
	x = ms("mayfly", "quiet", "init")
	b = ms("mayfly-plain", "quiet", "init")
	bar(b > 0 && x <= 1.03 * b, "exec to init with every device jailed at most 1.03 of that without: " over(x, b))
	x = memory["mayfly", "pss.jailed"]
	bar(x > 0 && x <= 3 * 1024, "at most 3 MiB beside the guest's RAM (PSS of all processes) with a console, the entropy device and a disk jailed: " sprintf("%.2f", x / 1024))
	x = per_request("mayfly", "own_sleeps")
	bar(x > -1e8 && x < 0.0005, "no wake-up of the monitor per disk request: " (x < -1e8 ? "-" : sprintf("%.3f", x)))
	x = per_request("mayfly", user_key)
	bar(x > -1e8 && x < 0.0005, "no exit to user space per disk request: " (x < -1e8 ? "-" : sprintf("%.3f", x)))
	if ("qemu" in seen)
		both_ahead("qemu")
	if ("kvmtool" in seen)
		both_ahead("kvmtool")
}
