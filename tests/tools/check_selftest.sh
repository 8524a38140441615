#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Do the checks of tools/ see what they are for? A small tree of its own, in which all of them
# pass, gets one violation at a time; the check meant for it must fail and name the file. Run
# it after a change to a check. A check whose program is not installed is told as skipped.

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 130' INT TERM

# A tree that is as it should be.
cp -R "$top/tools" "$top/.clang-format" "$top/.clang-tidy" "$top/config.mk" "$top/VERSION" "$tree"
cd "$tree"
git init -q .
mkdir -p base bus vmm arch/x86_64 tests build
cp "$top/tests/.clang-tidy" tests
echo 'build/' >.gitignore
cat >base/good.h <<'END'
/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <stddef.h>

size_t good_len(const char *s);
END
cat >base/good.c <<'END'
/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/good.h"

#include <string.h>

size_t good_len(const char *s)
{
	return strlen(s);
}
END
cat >bus/good.c <<'END'
/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/good.h"
END
cat >vmm/good.h <<'END'
/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "base/good.h"
END
cat >good <<'END'
#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
echo "$1"
END
echo "this is ignored: /ro""ot/secret" >build/ignored.c

# run NAME: the check's status; what it said is in $tree/build/out.
run() {
	status=0
	"tools/check-$1" >build/out 2>&1 || status=$?
}

# say ok|skipped|FAILED WHAT. Counted in a file, for pipelines are subshells.
say() {
	printf '%-7s %s\n' "$1" "$2" | tee -a build/results
	if [ "$1" = FAILED ]; then sed 's/^/        /' build/out; fi
}

# The check NAME passes on the tree as it is.
passes() {
	run "$1"
	case $status in
	0) say ok "$1: $2 passes" ;;
	77) say skipped "$1: $2 passes" ;;
	*) say FAILED "$1: $2 passes" ;;
	esac
}

# With stdin as FILE the check NAME fails and names the file; then FILE is gone again.
# catches NAME FILE WHAT
catches() {
	cp -p "$2" build/saved 2>/dev/null || rm -f build/saved
	mkdir -p "$(dirname "$2")"
	cat >"$2"
	run "$1"
	if [ $status = 77 ]; then
		say skipped "$1: $3"
	elif [ $status != 0 ] && grep -qF "$2" build/out; then
		say ok "$1: $3"
	else
		say FAILED "$1: $3"
	fi
	if [ -e build/saved ]; then mv build/saved "$2"; else rm -f "$2"; fi
}

# A C file: the licence line, then its arguments as lines.
c() {
	echo '/* SPDX-License-Identifier: BSD-3-Clause */'
	printf '%s\n' "$@"
}

# repeat N LINE
repeat() {
	awk -v n="$1" -v line="$2" 'BEGIN { while (n-- > 0) print line }'
}

for name in layers sizes headers text shell format cppcheck tidy; do
	passes $name 'a tree as it should be'
done

c '#include "bus/bus.h"' | catches layers base/bad.c 'base includes bus'
c '#  include "bus/bus.h"' | catches layers base/bad.h 'the same with spaces, in a header'
c '#include "vmm/good.h"' | catches layers bus/bad.c 'a room includes vmm'
c '#include "vmm/good.h"' | catches layers arch/x86_64/bad.c 'an arch includes vmm'
c '#include "attic/x.h"' | catches layers vmm/bad.c 'an include of an unknown folder'
c '#include "good.h"' | catches layers base/bad.c 'an include that is not from the root'
c '#include "base/../vmm/good.h"' | catches layers base/bad.c 'an include with dots'
c 'int attic;' | catches layers attic/bad.c 'a folder without a row'
c 'int bad;' | catches layers bad.c 'a source in no folder'
{ cat tools/layers.txt; echo 'attic: cellar'; } >build/new
catches layers tools/layers.txt 'a row that names an unknown folder' <build/new
{ cat tools/layers.txt; echo 'base: bus'; } >build/new
catches layers tools/layers.txt 'two rows of one folder' <build/new
c '#include "vmm/good.h"' >tests/ok.c
passes layers 'a test that includes vmm'
rm tests/ok.c

{ c; repeat 600 ''; } | catches sizes base/bad.c 'a file of 601 lines'
{ c; repeat 600 ''; } | catches sizes tests/bad.c 'the same in tests'
{ c 'int f(void)' '{'; repeat 99 '	g();'; echo '}'; } | catches sizes base/bad.c 'a function of 101 lines'
{ c 'int f(void)' '{'; repeat 98 '	g();'; echo '}'; } >base/ok.c
{ c 'int f(void)' '{'; repeat 300 '	g();'; echo '}'; } >tests/ok.c
passes sizes 'a function of 100 lines, and a long one in a test'
rm base/ok.c tests/ok.c

c '#pragma once' 'size_t f(void);' | catches headers base/bad.h 'a header that needs another one first'
c 'int f(void);' | catches headers base/bad.h 'a header without pragma once'

echo "see /ro""ot/x/build.log" | catches text notes.md 'a path below the home of root'
echo "cd=/wo""rk/tree" | catches text notes.md 'a path of a work tree'
echo "open(\"/ho""me/someone/x\")" | catches text notes.md 'a path of a home'
c "/* TO""DO: finish */" | catches text base/bad.c 'something to do'
c "/* X""XX */" | catches text base/bad.c 'something marked'
echo 'int bad;' | catches text base/bad.c 'a source without SPDX'
printf '#!/bin/sh\ntrue\n' | catches text bad 'a script without SPDX'
echo 'all:' | catches text Makefile 'a Makefile without SPDX'
c '#ifdef __x86''_64__' '#endif' | catches text vmm/bad.c 'an architecture macro in vmm'
c '#if __riscv''_xlen == 64' '#endif' | catches text base/bad.h 'another in a header of base'
c '#ifdef __x86''_64__' '#endif' >arch/x86_64/ok.c
echo 'a guest has /root and /home/user, a cache has $DIR/work/x and ../root/x' >notes.md
passes text 'what looks like it but is fine'
rm arch/x86_64/ok.c notes.md

printf '#!/bin/sh\n# SPDX-License-Identifier: BSD-3-Clause\nif true; then\n' |
	catches shell bad 'a script that does not parse'
printf '#!/bin/bash\n# SPDX-License-Identifier: BSD-3-Clause\na=(1 2\n' |
	catches shell bad 'one of bash that does not parse'
printf '#!/bin/sh\n# SPDX-License-Identifier: BSD-3-Clause\n[ $? == 0 ] && local x=1\n' |
	catches shell bad 'a script of sh that needs bash'

c 'int  f( void );' | catches format base/bad.c 'a file that clang-format would change'
c 'int f(int i);' 'int f(int i)' '{' '	int a[3];' '	a[3] = i;' '	return a[0];' '}' |
	catches cppcheck base/bad.c 'an index out of bounds'
c 'int *f(void);' 'int *f(void)' '{' '	int *p = 0;' '	*p = 1;' '	return p;' '}' |
	catches tidy base/bad.c 'a null pointer used'
c '#include <stddef.h>' 'size_t f(unsigned a, unsigned b);' 'size_t f(unsigned a, unsigned b)' '{' \
	'	return a * b;' '}' |
	catches tidy base/bad.c 'a product that overflows before it is widened'
for isa in aarch64 riscv64; do
	what="a null pointer used, in what is only compiled for $isa"
	if [ "$isa" = "$(uname -m)" ] || [ -d "/usr/$isa-linux-gnu/include" ]; then
		c '#include <asm/kvm.h>' 'int *f(void);' 'int *f(void)' '{' '	int *p = 0;' \
			'	*p = sizeof(struct kvm_regs);' '	return p;' '}' |
			catches tidy "arch/$isa/bad.c" "$what"
	else
		c >build/new
		mkdir -p arch/$isa && mv build/new arch/$isa/ok.c
		run tidy
		if [ $status = 0 ] && grep -q "^left out: arch/$isa " build/out; then
			say ok "tidy: says that arch/$isa is left out"
		else
			say FAILED "tidy: says that arch/$isa is left out"
		fi
		rm -r arch/$isa
	fi
done

# The whole: one failure is a failure, and the others run on.
c 'int  f( void );' >base/bad.c
status=0
tools/check format layers >build/out 2>&1 || status=$?
if [ $status = 1 ] && grep -q '^ok layers' build/out &&
	grep -qE '^(FAILED|skipped) +format' build/out; then
	say ok 'check: fails when one fails'
elif [ $status = 0 ] && grep -q '^skipped format' build/out; then
	say skipped 'check: fails when one fails'
else
	say FAILED 'check: fails when one fails'
fi
rm base/bad.c
status=0
tools/check layers sizes >build/out 2>&1 || status=$?
if [ $status = 0 ]; then say ok 'check: passes when all pass'; else say FAILED 'check: passes when all pass'; fi

awk '{ n[$1]++ } END {
	printf "%u cases, %u skipped, %u failed\n", NR, n["skipped"], n["FAILED"]
	exit n["FAILED"] > 0
}' build/results
