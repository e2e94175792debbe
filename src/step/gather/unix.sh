# shellcheck shell=sh disable=SC2034,SC2046,SC2086
# What `gather` runs on Linux and macOS, as root: it reads, and writes to its standard output alone.
#
# Lines that begin with #: divide the parts. The first part and the last one always go; of those in between, the places
# that are asked for. What is sent has no comments and no line breaks, so every command ends with a semicolon, and no
# single quotes, for those are around the whole. Numbers and patterns stand without quotes where they are to be split, and
# what `read` reads has columns that nobody wants: so much for what shellcheck is told.

# No alias, no folder and no language of whoever uses the host has a say.
PATH=/usr/sbin:/usr/bin:/sbin:/bin;
LC_ALL=C;
export PATH LC_ALL;
exec 2>/dev/null;

# A row: each field ends with a NUL, which no field can hold, and the row with an empty one.
row() { printf "%s\000" "$@" ""; };
place() { row @ "$1" "" "" "" ""; };
failed() { row error "$1" "" "" "ended early" ""; };

# Size, birth, access and change of a file, in whole seconds: as GNU tells them, or as BSD does.
facts() { stat -c "%s %W %X %Y" "$1" || stat -f "%z %B %a %m" "$1"; };

# A file, and with a second argument what that command prints of it.
file() {
  [ -f "$1" ] || return 0;
  f=$1; c=$2; t="file";
  [ -L "$f" ] && t="link";
  set -- $(facts "$f");
  printf "%s\000" file "$f" "${f##*/}" $t;
  [ "$c" ] && $c "$f" | tr "\000" " ";
  printf "\000";
  printf "%s\000" "$1" "created=${2}000000" "accessed=${3}000000" "written=${4}000000" "";
};
files() { c=$1; shift; for i; do file "$i" "$c"; done; };
ending() { tail -c 65536 "$1"; };
# Blanks may stand before, lines that end with a backslash go on, also behind a comment.
starts() { awk "c || /^[ \t]*Exec/ { print; c = c && /^[ \t]*[#;]/ || /\\\\\$/; }" "$1"; };

# Rows as lines of printable ASCII, TAB between the fields, everything else as %XX; an empty row is the end.
lines() {
  od -An -v -tx1 | awk "
    BEGIN { for (i = 0; i < 256; i++) c[sprintf(\"%02x\", i)] = i > 31 && i < 127 && i != 37 ? sprintf(\"%c\", i) : sprintf(\"%%%02X\", i); }
    { o = \"\";
      for (i = 1; i <= NF; i++) {
        if (\$i != \"00\") { if (!l && k) o = o \"\t\"; l = 1; o = o c[\$i]; }
        else if (l || k && k < 6) { if (!l) o = o \"\t\"; l = 0; k++; }
        else if (k) { o = o \"\n\"; n++; k = 0; }
        else o = o \"END\t\" n \"\t\t\t\t\n\"; }
      printf \"%s\", o; }";
};

# Who lives elsewhere is not found.
homes="/root /var/root /home/* /Users/*";
in_homes() { c=$1; shift; for h in $homes; do for i; do file "$h/$i" "$c"; done; done; };
has() { command -v "$1" >/dev/null; };

{ row sortie-gather 1 "" "" "" "";

#: run_keys
# There is no registry.
place run_keys;

#: services
place services;
( for d in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system /etc/systemd/user; do
    # Where /lib is /usr/lib, once is enough.
    [ "$d" = /lib/systemd/system ] && [ -L /lib ] && continue;
    files starts "$d"/*.service "$d"/*/*.conf;
  done;
  for h in $homes; do files starts "$h"/.config/systemd/user/*.service; done;
  files "" /etc/init.d/*; : ) || failed services;

#: tasks
place tasks;
( files ending /etc/crontab /etc/anacrontab /etc/cron.d/* /etc/cron.d/.[!.]* /var/spool/cron/* /var/spool/cron/*/* /usr/lib/cron/tabs/*;
  files "" /etc/cron.hourly/* /etc/cron.daily/* /etc/cron.weekly/* /etc/cron.monthly/* /etc/periodic/*/*;
  files ending /etc/systemd/system/*.timer /usr/lib/systemd/system/*.timer /Library/LaunchDaemons/*; : ) || failed tasks;

#: processes
# Of /proc, where there is one. The fields of `stat` are counted from behind the name, which may hold anything.
place processes;
( if [ -r /proc/self/stat ]; then
    z=$(getconf CLK_TCK || echo 100);
    b=$(awk "/^btime/ { print \$2 }" /proc/stat);
    for d in /proc/[0-9]*; do
      s=$(cat "$d/stat") || continue;
      x=$(readlink "$d/exe");
      l=$(tr "\000" " " <"$d/cmdline");
      l=${l% };
      u=$(awk "/^Uid:/ { print \$2 }" "$d/status");
      [ "$u" ] || continue;
      eval "n=\$u_$u";
      [ "$n" ] || { n=$(id -nu "$u") || n=$u; eval "u_$u=\$n"; };
      m=${s#*\(};
      m=${m%\)*};
      set -- ${s##*\) };
      row process "$x" "${x##*/}" "" "${l:-[$m]}" "" "pid=${d#/proc/}" "parent_pid=$2" "user=$n" "created=$((b * 100 + ${20} * 100 / z))0000";
    done;
  else
    ps -Aww -o pid= -o ppid= -o user= -o comm= | while read -r p q u x; do
      ps -ww -o lstart= -o command= -p "$p" | {
        read -r a b c d y l || exit 0;
        row process "$x" "${x##*/}" "" "$l" "" "pid=$p" "parent_pid=$q" "user=$u" "created=$(date -j -f "%b %d %T %Y" "$b $c $d $y" +%s)000000"; };
    done;
  fi; : ) || failed processes;

#: netstat
# Of /proc/net, where there is one, which needs no program; whose a socket is tell the open files of the processes. The
# first arrow of a line is that of `ls`: a file may be called like a socket.
place netstat;
( if [ -r /proc/net/tcp ]; then
    { ls -lq /proc/[0-9]*/fd; for t in tcp tcp6 udp udp6; do echo "net $t"; cat "/proc/net/$t"; done; } | awk "
      function hex(s,  i, v) { v = 0; for (i = 1; i <= length(s); i++) v = v * 16 + index(\"123456789ABCDEF\", substr(s, i, 1)); return v; }
      function at(s,  i, j, w, a) {
        split(s, w, \":\"); a = \"\";
        for (i = 1; i < length(w[1]); i += 8) for (j = 6; j >= 0; j -= 2)
          a = a (length(w[1]) == 8 ? (a == \"\" ? \"\" : \".\") hex(substr(w[1], i + j, 2)) : (a != \"\" && j % 4 == 2 ? \":\" : \"\") tolower(substr(w[1], i + j, 2)));
        return (length(w[1]) == 8 ? a : \"[\" a \"]\") \":\" hex(w[2]); }
      BEGIN { split(\"ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING\", state, \" \"); }
      /^\/proc\/[0-9]+\/fd:\$/ { split(\$0, w, \"/\"); p = w[3]; next; }
      !t && (i = index(\$0, \" -> \")) && substr(\$0, i + 4) ~ /^socket:\[[0-9]+\]\$/ { i = \$NF; gsub(/[^0-9]/, \"\", i); pid[i] = p; next; }
      /^net / { t = \$2; next; }
      t && \$1 ~ /^[0-9]+:\$/ { print t, at(\$2), at(\$3), t ~ /tcp/ ? state[hex(\$4)] : \"-\", pid[\$10]; }" |
    while read -r t l r s p; do s=${s#-}; row exec "" "" "" "$t $l $r $s $p" "" "protocol=$t" "local=$l" "remote=$r" "state=$s" "pid=$p"; done;
  else
    lsof -nP -i | while read -r c p u f t d o t n s; do
      r=${n#*->};
      [ "$r" = "$n" ] && r="";
      case $t in TCP) t="tcp";; UDP) t="udp";; *) continue; esac;
      s=${s#\(};
      s=${s%\)};
      row exec "" "" "" "$c $p $u $t $n $s" "" "protocol=$t" "local=${n%%->*}" "remote=$r" "state=$s" "pid=$p";
    done;
  fi; : ) || failed netstat;

#: users
place users;
( if has dscl; then
    dscl . -list /Users UniqueID | while read -r n u; do
      h=$(dscl . -read "/Users/$n" NFSHomeDirectory);
      h=${h#*: };
      row exec "" "" "" "$n $u $h" "" "user=$n" "uid=$u" "home=$h";
    done;
  else
    while IFS=: read -r n x u g c h s || [ "$n" ]; do row exec "" "" "" "$n $u $h $s" "" "user=$n" "uid=$u" "home=$h" "shell=$s"; done </etc/passwd;
  fi; : ) || failed users;

#: logons
place logons;
( who | while read -r u t r; do row exec "" "" "" "$u $t $r" "" "user=$u" "terminal=$t"; done; : ) || failed logons;

#: ps_history
# Of whatever shell there is.
place ps_history;
( in_homes ending .bash_history .zsh_history .sh_history .ash_history .local/share/fish/fish_history .local/share/powershell/PSReadLine/ConsoleHost_history.txt; : ) || failed ps_history;

#: autoruns
place autoruns;
( files ending /etc/rc.local /etc/rc.d/rc.local /etc/ld.so.preload /etc/profile.d/* /etc/update-motd.d/* /etc/xdg/autostart/* /Library/LaunchAgents/*;
  files "" /Library/StartupItems/*/*;
  in_homes ending .ssh/authorized_keys .ssh/authorized_keys2;
  for h in $homes; do files ending "$h"/.config/autostart/* "$h"/Library/LaunchAgents/*; done; : ) || failed autoruns;

#: end
printf "\000"; } | lines;
