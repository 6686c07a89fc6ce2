//! `os cp` to and from a device's own files.

use std::path::PathBuf;

use testkit::{Lan, Namespace, Sshd, Workstation, programs::built, until};

use super::{HERE, Pair};

pub(super) const CP: &str = "\"$OS\" cp --quiet --accept-host-key -i key";

impl Pair {
    /// The part of a file that is on its way to `there`.
    fn part(&self) -> Option<PathBuf> {
        self.part_in("there")
    }

    fn part_in(&self, folder: &str) -> Option<PathBuf> {
        let names = fs_err::read_dir(self.at(folder)).ok()?;
        names.flatten().map(|name| name.path()).find(|path| {
            path.extension().is_some_and(|end| end == "os-part")
                && path.metadata().is_ok_and(|about| about.len() > 1_000_000)
        })
    }
}

#[tokio::test]
async fn a_folder_comes_back_as_it_was() {
    let pair = Pair::new("").await;
    let script = format!(
        "set -e; mkdir -p src/d/e src/empty there back; echo hi >src/a; : >src/zero; printf x >'src/sp ace'; printf y >$'src/nl\\nx'
         printf z >$'src/d/\\xff\\xfe'; head -c 9000000 /dev/urandom >src/big; truncate -s 5000000 src/d/sparse
         ln -s ../a src/d/link; ln -s /nowhere src/dangling; ln src/a src/hard; chmod 600 src/a; chmod 500 src/d/e; touch -d @1000000000 src/a src/d
         {CP} src {HERE}:$PWD/there; {CP} {HERE}:$PWD/there/src back
         rsync -rlpn --itemize-changes --checksum --delete src/ there/src/; rsync -rlpn --itemize-changes --checksum --delete src/ back/src/
         stat -c '%Y %a' there/src/a back/src/a there/src/d back/src/d; {CP} --json src {HERE}:$PWD/there; find . -name '*os-part*'"
    );
    let output = pair.sh(&script).await;
    output.success();
    let (times, summary) = output.stdout.split_once('{').expect("a summary");
    assert_eq!(
        times,
        "1000000000 600\n1000000000 600\n1000000000 755\n1000000000 755\n"
    );
    assert!(summary.contains("\"bytes\":0,\"same\":8"), "{output}");
}

#[tokio::test]
async fn a_copy_that_is_cut_goes_on_and_a_part_that_lies_does_not() {
    let pair = Pair::new("").await;
    let make = "head -c 60000000 /dev/urandom >big; mkdir there";
    pair.sh(make).await.success();
    let there = format!("{HERE}:{}", pair.path("there"));
    let copy = ["cp", "--accept-host-key", "-i", "key", "big", &there];
    let running = pair.workstation.start(&copy);
    until("a part is there", async || pair.part()).await;
    // The processes of the connection, and not the server that they came from.
    let kill = format!("pkill -KILL -P {}", "$(pgrep -o sshd)");
    pair.workstation.machine.run("sh", &["-c", &kill]);
    let output = running.output().await;
    output.success();
    assert!(output.stderr.contains("goes on after"), "{output}");
    pair.sh("cmp big there/big && [ $(ls -A there | wc -l) = 1 ] && rm there/big")
        .await
        .success();

    let running = pair.workstation.start(&copy);
    let part = until("a part is there", async || pair.part()).await;
    pair.workstation.machine.run("pkill", &["-INT", "-x", "os"]);
    assert_eq!(running.output().await.code, 130);
    let mut file = fs_err::OpenOptions::new()
        .write(true)
        .open(&part)
        .expect("the part");
    std::io::Write::write_all(&mut file, b"EVIL").expect("another content");
    let output = pair.workstation.os(&copy).await;
    output.success();
    assert!(!output.stderr.contains("goes on after"), "{output}");
    pair.sh("cmp big there/big").await.success();
}

#[tokio::test]
async fn a_cut_changes_nothing_of_where_things_go() {
    let pair = Pair::new("").await;
    pair.sh("mkdir -p src/d there; head -c 60000000 /dev/urandom >src/d/big; echo x >src/x; chmod 755 src src/d; touch -d @1000000000 src/d src")
        .await
        .success();
    let there = format!("{HERE}:{}", pair.path("there/new"));
    let kill = format!("pkill -KILL -P {}", "$(pgrep -o sshd)");
    let up = ["cp", "--accept-host-key", "-i", "key", "src", &there];
    let running = pair.workstation.start(&up);
    until("a part is there", async || pair.part_in("there/new/d")).await;
    pair.workstation.machine.run("sh", &["-c", &kill]);
    running.output().await.success();
    let down = ["cp", "--accept-host-key", "-i", "key", &there, "back"];
    let running = pair.workstation.start(&down);
    until("a part is here", async || pair.part_in("back/d")).await;
    pair.workstation.machine.run("sh", &["-c", &kill]);
    running.output().await.success();
    let script = "rsync -rlptn --itemize-changes --checksum --delete src/ there/new/; rsync -rlptn --itemize-changes --checksum --delete src/ back/";
    let output = pair.sh(script).await;
    assert_eq!(output.stdout, "", "{output}");
}

#[tokio::test]
async fn another_server_that_takes_the_place_ends_a_copy_at_once() {
    let pair = Pair::new("").await;
    pair.sh("head -c 60000000 /dev/urandom >big; mkdir there")
        .await
        .success();
    let there = format!("{HERE}:{}", pair.path("there"));
    let copy = ["cp", "--accept-host-key", "-i", "key", "big", &there];
    let running = pair.workstation.start(&copy);
    until("a part is there", async || pair.part()).await;
    pair.workstation.machine.run("pkill", &["-KILL", "sshd"]);
    let lost = std::time::Instant::now();
    let other = Sshd::start(&pair.workstation.machine, "").await;
    other.authorize(&pair.at("key.pub"));
    let output = running.output().await;
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("another one is known"), "{output}");
    assert!(lost.elapsed() < std::time::Duration::from_mins(1));
    assert!(!other.process.log().contains("Accepted"));
}

#[tokio::test]
async fn another_device_that_is_there_instead_is_not_copied_to() {
    let lan = Lan::new();
    let mut workstation = Workstation::new(Some(&lan));
    workstation.set("OS", built("os").to_str().expect("a path"));
    let machine = Namespace::new();
    let address = lan.join(&machine);
    let (machine, _agent) = crate::which_device::start(machine, "one", "1a").await;
    let server = Sshd::start(&machine, "").await;
    let mut pair = Pair::of(workstation, server);
    pair.sh("head -c 60000000 /dev/urandom >big; truncate -s 300000000 big; mkdir there")
        .await
        .success();
    let there = format!(":{}", pair.path("there"));
    let copy = ["cp", "--accept-host-key", "-i", "key", "big", &there];
    let running = pair.workstation.start(&copy);
    until("a part is there", async || pair.part()).await;
    // Nobody tells the workstation that it is gone.
    lan.unplug(address);
    pair.server.cut(&machine).await;
    let other = Namespace::new();
    lan.join(&other);
    let (other, _agent) = crate::which_device::start(other, "two", "2b").await;
    let server = Sshd::start(&other, "").await;
    server.authorize(&pair.at("key.pub"));
    let only = until("the other one is the only one", async || {
        let output = pair.workstation.os(&["scan", "--json"]).await;
        let is_only = output.stdout.matches("\"found\"").count() == 1;
        is_only.then_some(output.stdout)
    })
    .await;
    assert!(only.contains("two"), "{only}");
    running.says("waiting for the device to be back").await;
    pair.server.start_again(&machine).await;
    lan.replug(address);
    let output = running.output().await;
    output.success();
    assert!(output.stderr.contains("goes on after"), "{output}");
    pair.sh("cmp big there/big").await.success();
    assert!(!server.process.log().contains("Accepted"), "{output}");
}

#[tokio::test]
async fn what_is_printed_is_of_one_file() {
    let pair = Pair::new("").await;
    pair.sh("head -c 60000000 /dev/urandom >big; head -c 60000001 /dev/urandom >other")
        .await
        .success();
    let script = format!(
        "{CP} {HERE}:$PWD/big - | {{ head -c 1000000 >/dev/null; touch begun; while [ ! -e go ]; do sleep 0.1; done; cat >/dev/null; }}
         echo ${{PIPESTATUS[0]}}"
    );
    let running = pair.workstation.start_program(&["bash", "-c", &script]);
    until("it has begun", async || {
        pair.at("begun").exists().then_some(())
    })
    .await;
    let kill = format!(
        "mv other big; pkill -KILL -P {}; touch go",
        "$(pgrep -o sshd)"
    );
    pair.sh(&kill).await.success();
    let output = running.output().await;
    assert_eq!(output.stdout, "6\n", "{output}");
    assert!(
        output.stderr.contains("does not begin any more"),
        "{output}"
    );
}

#[tokio::test]
async fn what_changes_in_the_second_in_which_it_was_copied_is_copied_once_more() {
    let pair = Pair::new("").await;
    let script = format!(
        "set -e; mkdir there back; for n in 1 2 3; do
           echo a$n >f; {CP} f {HERE}:$PWD/there; echo b$n >f; {CP} f {HERE}:$PWD/there; cmp f there/f
           echo c$n >f; {CP} {HERE}:$PWD/f back; echo d$n >f; {CP} {HERE}:$PWD/f back; cmp f back/f
         done"
    );
    pair.sh(&script).await.success();
}

#[tokio::test]
async fn a_file_that_is_replaced_keeps_its_owner_and_with_a_stream_its_mode() {
    let pair = Pair::new("").await;
    let script = format!(
        "set -e; mkdir -p src there/src; head -c 5000000 /dev/urandom >src/big; echo new | tee src/a src/b >there/src/a; cp there/src/a there/src/big
         echo x >there/s; chmod 600 there/s; chown 1234:1235 there/src/* there/s; {CP} src {HERE}:$PWD/there; echo streamed | {CP} - {HERE}:$PWD/there/s
         stat -c '%n %u:%g' there/src/*; stat -c '%a %u:%g' there/s; cat there/s; cmp src/big there/src/big"
    );
    let output = pair.sh(&script).await;
    output.success();
    assert_eq!(
        output.stdout,
        "there/src/a 1234:1235\nthere/src/b 0:0\nthere/src/big 1234:1235\n600 1234:1235\nstreamed\n",
        "{output}"
    );
}

#[tokio::test]
async fn what_cannot_be_copied_is_named_and_the_rest_is_there() {
    let pair = Pair::new("").await;
    let script = format!(
        "mkdir src there; mkfifo src/pipe; echo hi >src/a; {CP} src {HERE}:$PWD/there; echo $?; cat there/src/a
         echo streamed | {CP} - {HERE}:$PWD/there/s; {CP} {HERE}:$PWD/there/s -; ln -s /etc there/src/l; mkdir src/l; echo x >src/l/evil
         {CP} src {HERE}:$PWD/there; echo $?; ls /etc/evil; {CP} nothing {HERE}:/; echo $?"
    );
    let output = pair.sh(&script).await;
    assert_eq!(output.stdout, "1\nhi\nstreamed\n1\n1\n", "{output}");
    for part in [
        "src/pipe is not copied",
        "src/l is not copied: a link",
        "no nothing on this machine",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}

#[tokio::test]
async fn no_device_node_is_replaced() {
    let pair = Pair::new("").await;
    let script = format!(
        "mkdir there; echo hi >a; ln -s a l; mknod there/null c 1 3; mkfifo there/pipe; mknod null c 1 3
         {CP} a {HERE}:$PWD/there/null; echo $?; {CP} a {HERE}:$PWD/there/pipe; echo $?; echo b | {CP} - {HERE}:$PWD/there/null; echo $?
         {CP} {HERE}:$PWD/a null; echo $?; stat -c %F there/null there/pipe null; ls -A there"
    );
    let output = pair.sh(&script).await;
    assert_eq!(
        output.stdout,
        "1\n1\n6\n1\ncharacter special file\nfifo\ncharacter special file\nnull\npipe\n",
        "{output}"
    );
}

#[tokio::test]
async fn what_changes_while_it_is_read_replaces_nothing() {
    replaces_nothing("touch -d @2000000000 \"$f\"").await;
}

#[tokio::test]
async fn what_is_longer_and_begins_otherwise_replaces_nothing() {
    replaces_nothing("{ printf x; cat \"$f\"; } >x; cat x >\"$f\"").await;
}

/// What a program does to each file once it has been read.
async fn replaces_nothing(change: &str) {
    let mut workstation = Workstation::new(None);
    workstation.set("OS", built("os").to_str().expect("a path"));
    let home = workstation.home().display().to_string();
    for program in ["tar", "head"] {
        let wrapper = format!(
            "#!/bin/sh\n/usr/bin/{program} \"$@\"; r=$?; cd {home}; for f in src/*; do {change}; done; exit $r\n"
        );
        workstation.write(format!("bin/{program}"), wrapper);
    }
    workstation
        .machine
        .run("chmod", &["-R", "755", &format!("{home}/bin")]);
    let settings =
        format!("ForceCommand PATH={home}/bin:$PATH exec sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let server = Sshd::start(&workstation.machine, &settings).await;
    let pair = Pair::of(workstation, server);
    let script = format!(
        "mkdir -p src back/src; head -c 5000000 /dev/urandom >src/big; echo new >src/small; touch -d @1000000000 src/*
         echo old >back/src/big; echo older >back/src/small; {CP} {HERE}:$PWD/src back; echo $?; cat back/src/big back/src/small; ls -A back/src"
    );
    let output = pair.sh(&script).await;
    assert_eq!(output.stdout, "1\nold\nolder\nbig\nsmall\n", "{output}");
    assert!(
        output.stderr.contains("changed while it was copied"),
        "{output}"
    );
}

#[tokio::test]
async fn files_of_a_kernel_are_copied_with_what_is_in_them() {
    let pair = Pair::new("").await;
    let script = format!(
        "set -e; mkdir back; {CP} {HERE}:/proc/version {HERE}:/sys/devices/system/cpu/possible back; cmp back/version /proc/version
         cat back/possible; {CP} {HERE}:/proc/sys/kernel/random back; cmp back/random/poolsize /proc/sys/kernel/random/poolsize"
    );
    let output = pair.sh(&script).await;
    output.success();
    let possible = fs_err::read_to_string("/sys/devices/system/cpu/possible").expect("a file");
    assert_eq!(output.stdout, possible);
}

#[tokio::test]
async fn a_file_of_a_kernel_that_has_no_end_is_left_out() {
    let pair = Pair::new("").await;
    let script = format!(
        "mkdir back; timeout 100 {CP} {HERE}:/proc/kmsg {HERE}:/proc/version back; echo $?; ls -A back; pgrep -xa wc"
    );
    let output = pair.sh(&script).await;
    assert_eq!(output.stdout, "1\nversion\n", "{output}");
    let why = "/proc/kmsg is not copied: it did not end within 5 s";
    assert!(output.stderr.contains(why), "{output}");
}

/// Files and folders whose names are dangerous to whoever takes them for more than names: `src`, and a pipe with a name for terminals.
pub(super) const HOSTILE: &str = r#"set -e; mkdir -p src
for d in . ./-rf './$(touch evil) in' "./it's in" $'./new\nline' './*'; do
  mkdir -p "src/$d"
  for n in -n --help '--checkpoint-action=exec=touch evil' '$(touch evil)' '`touch evil`' "';touch evil;'" '";touch evil;"' \
      '* ?' '[a]' '\' '\n' '\0101' $'tab\t' ' ' ' x ' '~' @x '#x' '!x' a:b %s%n - -- $'\e]0;t\a' $'\xff' "it's"; do
    printf '%s' "$n" >"src/$d/$n"
  done
  head -c 5000000 /dev/zero >"src/$d/"'$(touch evil) large'
  ln -s '$(touch evil)' "src/$d/link"
done
mkfifo $'src/\e]0;pipe\a'
"#;

#[tokio::test]
async fn hostile_names_are_names() {
    let pair = Pair::new("").await;
    let above = CP.replace("-i key", "-i ../key");
    let script = format!(
        "{HOSTILE} set +e; mkdir there back one; {CP} src {HERE}:$PWD/there; echo $?; {CP} {HERE}:$PWD/there/src back; echo $?
         rsync -rlptn --itemize-changes --checksum --delete --no-specials src/ there/src/ 2>&1 | grep -v pipe
         rsync -rlptn --itemize-changes --checksum --delete src/ back/src/ 2>&1 | grep -v pipe
         cd src; {above} -- -rf '$(touch evil)' {HERE}:\"$OLDPWD/there\"; echo $?; cd ..
         {CP} {HERE}:\"$PWD/there/src/\\$(touch evil) in/-n\" {HERE}:\"$PWD/there/-rf/\\$(touch evil)\" one; echo $?; ls -A one; find . -name evil
         {CP} {HERE}:\"$PWD\"/there/src/$'new\\nline' two && {CP} two/-n {HERE}:\"$PWD\"/there/src/$'new\\nline'; echo $?; cmp two/-n there/src/$'new\\nline'/-n"
    );
    let output = pair.sh(&script).await;
    assert_eq!(
        output.stdout, "1\n0\n0\n0\n$(touch evil)\n-n\n0\n",
        "{output}"
    );
    assert!(!output.stderr.contains(['\u{1b}', '\u{7}']), "{output}");
}

#[tokio::test]
async fn folders_that_were_there_keep_their_modes() {
    let pair = Pair::new("").await;
    let script = format!(
        "mkdir -p src/d src/new there/src/d; echo x >src/d/x; chmod 777 src src/d; chmod 750 there/src; chmod 700 there/src/d; chmod 711 src/new
         {CP} src {HERE}:$PWD/there; stat -c %a there/src there/src/d there/src/new
         mkdir -p back/src; chmod 750 back/src; {CP} {HERE}:$PWD/src back; stat -c %a back/src back/src/d back/src/new"
    );
    let output = pair.sh(&script).await;
    assert_eq!(output.stdout, "750\n700\n711\n750\n777\n711\n", "{output}");
}

/// What a device's programs answer that was broken into: whatever `answer` writes where `find` or `tar` is asked for.
const LIES: &str = r#"#!/bin/sh
case $SSH_ORIGINAL_COMMAND in
*"find . "*) [ -f ~/list ] && exec cat ~/list ;;
*"tar -cf"*) exec cat ~/tar ;;
esac
exec sh -c "$SSH_ORIGINAL_COMMAND"
"#;

#[tokio::test]
async fn a_device_that_was_broken_into_writes_nowhere_else() {
    let mut workstation = Workstation::new(None);
    workstation.set("OS", built("os").to_str().expect("a path"));
    let home = workstation.home().display().to_string();
    workstation.write("lies", LIES.replace('~', &home));
    let server = Sshd::start(
        &workstation.machine,
        &format!("ForceCommand sh {home}/lies"),
    )
    .await;
    let pair = Pair::of(workstation, server);
    pair.sh("mkdir src outside && echo x >src/x")
        .await
        .success();

    // Names that it lists, and then what it sends for one that is asked for.
    let list = |name: &str| format!("d\\n/srv\\0.\\0{name}\\0\\00041ed 4096 9\\n81a4 2 9\\n\\0");
    let link = format!(
        "d\\n/srv\\0.\\0./l\\0./l/x\\0\\00041ed 1 9\\na1ff 1 9\\n81a4 2 9\\n\\0./l\\0{home}/outside\\0"
    );
    let tar = |options: &str| format!("tar -C src -cPf tar --transform '{options}' x");
    for (listed, sent, problem) in [
        (list("./../evil"), "", "leads out of the folder"),
        (list("/evil"), "", "leads out of the folder"),
        (
            list("./x"),
            &*tar("s,x,../evil,"),
            "leads out of the folder",
        ),
        (list("./x"), &tar("s,x,/evil,"), "leads out of the folder"),
        (
            list("./x"),
            &tar(&format!("s,x,{home}/outside/x,")),
            "leads out",
        ),
        (list("./x"), &tar("s,x,other,"), "was not asked for"),
        (link, &tar("s,x,l/x,"), "is in is no folder"),
    ] {
        let script = format!(
            "{sent}\nrm -rf into && mkdir into && printf '{listed}' >list && {CP} {HERE}:/srv into; echo $?\n
             ls outside; ls -d evil /evil; find into -type f"
        );
        let output = pair.sh(&script).await;
        assert_eq!(output.stdout, "6\n", "{listed} {sent}: {output}");
        assert!(output.stderr.contains(problem), "{problem}: {output}");
    }
}
