/* SPDX-License-Identifier: Apache-2.0 */
/* Other people's tools read our archives, and we read theirs. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "archive/test_stream.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/scope.h"

static const struct archive_read_options READ_ALL = {0};

/* A directory with in/ (the files), list (their names, sorted) and, for each test, out/. */
static char work[] = "/tmp/archive-foreign-XXXXXX";

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A shell command in `work`; its exit status. */
static int run(const char *format, ...)
{
    scope_buf struct buf command = BUF_INIT;
    char text[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_printf(&command, "cd '%s' && export LC_ALL=C.UTF-8 && { %s\n}", work, text);
    int status = system(command.data);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void require(const char *tool)
{
    if (run("command -v %s >/dev/null", tool) == 0)
        return;
    print_message("skipped: %s is not installed\n", tool);
    skip();
}

static char *in_work(const char *name)
{
    return xasprintf("%s/%s", work, name);
}

static const char MAKE_FILES[] =
    "mkdir -p in/dir/empty in/dir/deep && cd in || exit 1\n"
    "printf hello > dir/hello; : > nothing; head -c 3000000 /dev/urandom > noise\n"
    "seq 1 200000 > numbers; chmod 0600 numbers; chmod 0777 dir/hello; chmod 01777 dir/deep\n"
    "ln dir/hello dir/hello-again; ln -s ../somewhere/else dir/link; ln -s /dev/null dangling\n"
    "name=$(printf 'n%.0s' $(seq 1 250)); printf name > \"$name\"; ln -s \"$name\" long-link\n"
    "name=d$name; mkdir -p $name/$name/$name && printf deep > $name/$name/$name/file\n"
    "ln $name/$name/$name/file hard-to-deep; ln -s $name/$name/$name/file soft-to-deep\n"
    "p=$(printf 'p%.0s' $(seq 1 80)); mkdir -p $p/$p; printf split > $p/$p/file\n"
    "printf a > $(printf 'a%.0s' $(seq 1 100)); printf b > $(printf 'b%.0s' $(seq 1 101))\n"
    "printf utf > \"$(printf 'caf\\303\\251 \\342\\230\\203')\"\n"
    "truncate -s 10M sparse; printf x | dd of=sparse bs=1 seek=5000000 conv=notrunc 2>/dev/null\n"
    "truncate -s 200M hole; truncate -s 9G far; seq 1 3000 | dd of=far bs=4096 seek=2000000 "
    "conv=notrunc 2>/dev/null\n"
    "truncate -s 4M many; for i in 1 3 5 7 9 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160 "
    "170 180 190 200 210 220 230 240 250 260 270 280 290 300; do seq 1 500 | dd of=many bs=8192 "
    "seek=$i conv=notrunc 2>/dev/null; done\n"
    "touch -d '1969-12-31 23:59:58 UTC' nothing; touch -d '2001-02-03 04:05:06.789 UTC' dir/deep\n"
    "find . -mindepth 1 -print | sed 's,^[.]/,,' | LC_ALL=C sort > ../list\n";

static int make_files(void **state)
{
    return mkdtemp(work) != NULL && run("%s", MAKE_FILES) == 0 ? 0 : -1;
}

static int remove_files(void **state)
{
    return run("rm -rf '%s'", work);
}

static void read_in(struct test_stream *stream, const char *directory)
{
    scope_free char *path = in_work(directory);
    test_stream_add_directory(stream, path);
}

static void write_ours(const char *name, bool with_bytes)
{
    struct error err = ERROR_INIT;
    struct test_stream stream = {0};
    read_in(&stream, "in");
    if (with_bytes)
        test_stream_add_file(&stream, "bytes-\xff\xfe", slice_str("no text"));
    test_stream_sort(&stream);
    scope_free char *path = in_work(name);
    scope_fd int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct archive_options options = {.compression = ARCHIVE_FAST};
    if (test_stream_write(&stream, fd, &options, NULL, &err) < 0)
        fail_msg("%s", err.text);
    test_stream_free(&stream);
}

static void assert_same_files(const char *directory, enum test_precision precision)
{
    struct test_stream expected = {0}, got = {0};
    read_in(&expected, "in");
    read_in(&got, directory);
    const char *difference = test_stream_difference(&expected, &got, precision);
    if (difference != NULL)
        fail_msg("%s", difference);
    test_stream_free(&expected);
    test_stream_free(&got);
}

static void gnu_tar_extracts_ours(void **state)
{
    require("tar");
    write_ours("ours.tar.gz", 0);
    assert_int_equal(run("gzip -t ours.tar.gz"), 0);
    assert_int_equal(
        run("rm -rf out; mkdir out; tar --warning=no-timestamp -xpzf ours.tar.gz -C out "
            "2>messages"),
        0);
    assert_int_equal(run("test ! -s messages || { cat messages; false; }"), 0);
    assert_same_files("out", TEST_NANOSECONDS);
    /* Holes are made again. */
    assert_int_equal(run("test $(du -k out/hole | cut -f1) -lt 100"), 0);
    assert_int_equal(run("test $(du -k out/far | cut -f1) -lt 100"), 0);
    assert_int_equal(run("tar -tzf ours.tar.gz | sed 's,/$,,' | cmp - list"), 0);
}

static void bsdtar_extracts_ours(void **state)
{
    require("bsdtar");
    write_ours("ours.tar.gz", 0);
    assert_int_equal(run("rm -rf out; mkdir out; bsdtar -xpf ours.tar.gz -C out"), 0);
    assert_same_files("out", TEST_NANOSECONDS);
    assert_int_equal(run("bsdtar -tf ours.tar.gz | sed 's,/$,,' | cmp - list"), 0);
}

static void python_extracts_ours(void **state)
{
    require("python3");
    write_ours("ours.tar.gz", 0);
    assert_int_equal(run("rm -rf out; mkdir out; python3 -c '\n"
                         "import tarfile\n"
                         "with tarfile.open(\"ours.tar.gz\") as t:\n"
                         "    t.extractall(\"out\", [m for m in t if not m.name.startswith("
                         "(\"hole\", \"far\"))])\n'"),
                     0);
    /* It writes holes as holes, but slowly for 9 GiB: their sizes must do. */
    assert_int_equal(run("cp -a --sparse=always in/hole in/far out/"), 0);
    /* And it leaves the times of symbolic links alone. */
    assert_int_equal(run("cd in && find . -type l -exec touch -hr {} ../out/{} ';'"), 0);
    assert_same_files("out", TEST_SECONDS);
    assert_int_equal(run("python3 -c '\n"
                         "import tarfile\n"
                         "with tarfile.open(\"ours.tar.gz\") as t:\n"
                         "    assert t.getmember(\"far\").size == 9 << 30\n"
                         "    assert t.getnames() == open(\"list\").read().splitlines()\n'"),
                     0);
}

static void tools_take_names_that_are_no_text(void **state)
{
    write_ours("bytes.tar.gz", 1);
    static const char *const COMMANDS[][2] = {
        {"tar", "tar --warning=no-timestamp -xzf bytes.tar.gz -C out"},
        {"bsdtar", "bsdtar -xf bytes.tar.gz -C out"},
        {"python3", "python3 -c 'import sys, tarfile; tarfile.open(\"bytes.tar.gz\").extract("
                    "b\"bytes-\\xff\\xfe\".decode(\"utf-8\", \"surrogateescape\"), \"out\")'"},
    };
    for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
        if (run("command -v %s >/dev/null", COMMANDS[i][0]) != 0)
            continue;
        assert_int_equal(run("rm -rf out; mkdir out; %s", COMMANDS[i][1]), 0);
        assert_int_equal(run("test \"$(cat out/\"$(printf 'bytes-\\377\\376')\")\" = 'no text'"),
                         0);
    }
}

static void assert_reads(const char *name, enum test_precision precision)
{
    struct error err = ERROR_INIT;
    struct test_stream expected = {0}, got = {0};
    read_in(&expected, "in");
    scope_free char *path = in_work(name);
    scope_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (test_stream_read(&got, fd, &READ_ALL, NULL, &err) < 0)
        fail_msg("%s", err.text);
    test_stream_sort(&got);
    const char *difference = test_stream_difference(&expected, &got, precision);
    if (difference != NULL)
        fail_msg("%s: %s", name, difference);
    test_stream_free(&expected);
    test_stream_free(&got);
}

static void gnu_tar_is_read(void **state)
{
    require("tar");
    static const struct {
        const char *options;
        enum test_precision precision;
    } WAYS[] = {
        {"--format=gnu --sparse", TEST_SECONDS},
        {"--format=gnu --sparse -z", TEST_SECONDS},
        {"--format=pax --sparse", TEST_NANOSECONDS},
        {"--format=pax --sparse --sparse-version=0.0", TEST_NANOSECONDS},
        {"--format=pax --sparse --sparse-version=0.1", TEST_NANOSECONDS},
        {"--format=pax --sparse --sparse-version=1.0 -z", TEST_NANOSECONDS},
    };
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(WAYS[0]); i++) {
        assert_int_equal(run("tar -cf theirs -C in --no-recursion -T list %s", WAYS[i].options), 0);
        assert_reads("theirs", WAYS[i].precision);
    }
}

static void old_formats_are_read(void **state)
{
    require("tar");
    /* What the formats cannot say is left out: far files, long names, early times. */
    static const char *const FORMATS[] = {"ustar", "v7", "oldgnu"};
    for (size_t i = 0; i < sizeof(FORMATS) / sizeof(FORMATS[0]); i++) {
        assert_int_equal(run("rm -rf small; mkdir -p small/dir/empty; cp -a in/dir small/;"
                             "cp -a in/numbers in/noise in/dangling small/"),
                         0);
        assert_int_equal(run("tar --format=%s -cf theirs --sort=name -C small .", FORMATS[i]), 0);
        assert_int_equal(run("mv in in.all; rm -rf in; cp -a small in"), 0);
        struct test_stream got = {0};
        struct error err = ERROR_INIT;
        scope_free char *path = in_work("theirs");
        scope_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        int more = test_stream_read(&got, fd, &READ_ALL, NULL, &err);
        struct test_stream expected = {0};
        read_in(&expected, "in");
        assert_int_equal(run("rm -rf in; mv in.all in"), 0);
        if (more < 0)
            fail_msg("%s", err.text);
        /* The first is the root. */
        assert_int_equal(got.entries[0].path.length, 0);
        entry_free(&got.entries[0]);
        buf_free(&got.contents[0]);
        got.count--;
        memmove(got.entries, got.entries + 1, got.count * sizeof(*got.entries));
        memmove(got.contents, got.contents + 1, got.count * sizeof(*got.contents));
        test_stream_sort(&got);
        const char *difference = test_stream_difference(&expected, &got, TEST_SECONDS);
        if (difference != NULL)
            fail_msg("%s: %s", FORMATS[i], difference);
        test_stream_free(&expected);
        test_stream_free(&got);
    }
}

static void bsdtar_is_read(void **state)
{
    require("bsdtar");
    assert_int_equal(run("bsdtar --format=pax -cf theirs -C in -n -T list"), 0);
    assert_reads("theirs", TEST_NANOSECONDS);
    assert_int_equal(run("bsdtar --format=pax -czf theirs -C in -n -T list"), 0);
    assert_reads("theirs", TEST_NANOSECONDS);
}

static void python_is_read(void **state)
{
    require("python3");
    /* It has no sparse files: without the large ones. */
    assert_int_equal(run("mkdir -p aside; mv in/hole in/far aside/"), 0);
    static const char *const FORMATS[] = {"PAX_FORMAT", "GNU_FORMAT"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(run("python3 -c '\n"
                             "import tarfile, os\n"
                             "with tarfile.open(\"theirs\", \"w:gz\", compresslevel=1, "
                             "format=tarfile.%s) as t:\n"
                             "    for name in open(\"list\").read().splitlines():\n"
                             "        if name not in (\"hole\", \"far\"):\n"
                             "            t.add(\"in/\" + name, name, recursive=False)\n'",
                             FORMATS[i]),
                         0);
        assert_reads("theirs", TEST_SECONDS);
    }
    assert_int_equal(run("mv aside/* in/"), 0);
}

static void devices_are_reported_and_skipped(void **state)
{
    require("python3");
    assert_int_equal(run("python3 -c '\n"
                         "import tarfile, io\n"
                         "with tarfile.open(\"odd\", \"w\", format=tarfile.PAX_FORMAT) as t:\n"
                         "    def add(name, kind, link=\"\", data=b\"\"):\n"
                         "        i = tarfile.TarInfo(name)\n"
                         "        i.type, i.linkname, i.size = kind, link, len(data)\n"
                         "        t.addfile(i, io.BytesIO(data))\n"
                         "    add(\"fifo\", tarfile.FIFOTYPE)\n"
                         "    add(\"block\", tarfile.BLKTYPE)\n"
                         "    add(\"char\", tarfile.CHRTYPE)\n"
                         "    add(\"odd\", b\"Q\", data=b\"x\" * 600)\n"
                         "    add(\"/etc/passwd\", tarfile.REGTYPE, data=b\"x\" * 600)\n"
                         "    add(\"a/../../b\", tarfile.REGTYPE)\n"
                         "    add(\"..\", tarfile.DIRTYPE)\n"
                         "    add(\"hard\", tarfile.LNKTYPE, \"../../etc/shadow\")\n"
                         "    add(\"./\", tarfile.LNKTYPE, \"x\")\n"
                         "    add(\"nowhere\", tarfile.SYMTYPE, \"\")\n"
                         "    add(\"n\" * 256, tarfile.REGTYPE)\n"
                         "    add(\"d/\" * 600 + \"f\", tarfile.REGTYPE)\n"
                         "    add(\"good\", tarfile.REGTYPE, data=b\"good\")\n'"),
                     0);
    struct error err = ERROR_INIT;
    struct test_stream got = {0};
    struct report report;
    report_init(&report);
    scope_free char *path = in_work("odd");
    scope_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (test_stream_read(&got, fd, &READ_ALL, &report, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.entries[0].path.data, "good");
    assert_string_equal(got.contents[0].data, "good");
    assert_int_equal(report.omissions, 12);
    for (size_t i = 0; i < report.item_count; i++)
        assert_int_equal(report.items[i].kind, REPORT_REFUSED);
    assert_string_equal(report.items[0].path, "fifo");
    assert_string_equal(report.items[4].path, "/etc/passwd");
    test_stream_free(&got);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gnu_tar_extracts_ours),
        cmocka_unit_test(bsdtar_extracts_ours),
        cmocka_unit_test(python_extracts_ours),
        cmocka_unit_test(tools_take_names_that_are_no_text),
        cmocka_unit_test(gnu_tar_is_read),
        cmocka_unit_test(old_formats_are_read),
        cmocka_unit_test(bsdtar_is_read),
        cmocka_unit_test(python_is_read),
        cmocka_unit_test(devices_are_reported_and_skipped),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
