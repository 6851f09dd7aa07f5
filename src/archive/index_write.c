/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index while it grows.
 *
 *     entries -> builder -> held pages -> file, then a child of the tree of entries
 *     members -> distances -------------> file, then a child of the tree of members
 *
 * A tree grows from its leaves: a node that is full goes to the file at once and becomes a child one level
 * up.  What is in memory is one open node a level, one open page of either kind, and the held pages.
 *
 * The mutex guards the list of held pages.  The builder and its packer belong to the thread that adds
 * entries; trees, position and the other packer to the one that writes the file.
 */
#include "archive/index_write.h"

#include <pthread.h>
#include <stdlib.h>

#include "archive/index_page.h"
#include "archive/index_trailer.h"
#include "base/mem.h"
#include "base/scope.h"

enum {
    CHILD_NUMBERS_BYTES = 5 * INDEX_VARINT_MAX_BYTES,
    HEAD_BYTES = 2 * INDEX_VARINT_MAX_BYTES, /* of a node, or of a page of members */
};

/* A page of entries on its way. */
struct held_page {
    struct held_page *next;
    struct buf member;
    struct buf separator;
    uint64_t count;
    uint64_t block; /* of the tar: the page was full before all of it was there */
};

/* An open node. */
struct open_node {
    struct buf children; /* as they are written */
    uint64_t child_count;
    uint64_t count; /* entries or members below */
    uint64_t end;   /* of the child before */
    struct buf first_separator;
    struct buf separator;    /* of the child before */
    struct index_root first; /* its first child: the root of all, where it stays alone */
    uint64_t closed;         /* nodes of this level in the file */
};

struct tree {
    struct open_node levels[INDEX_LEVELS_MAX + 1]; /* from 1; 0 are the pages */
    struct index_root root;
};

struct index_writer {
    struct index_builder builder;
    struct index_packer *entry_packer;
    struct buf separator; /* of the page that is built */
    uint64_t entries;
    bool is_unsorted;

    pthread_mutex_t mutex;
    struct held_page *held;
    struct held_page **held_end;

    struct index_packer *packer;
    struct tree entry_tree;
    struct tree member_tree;
    bool is_hopeless;  /* too deep: there will be no index */
    uint64_t position; /* in the file */
    uint64_t members;
    uint64_t member_start; /* of the last one */
    struct buf distances;
    uint64_t distance_count;
    uint64_t distance_start; /* of the member that the first is of */
};

static void tree_init(struct tree *tree)
{
    for (size_t i = 0; i <= INDEX_LEVELS_MAX; i++) {
        struct open_node *node = &tree->levels[i];
        node->children = (struct buf)BUF_INIT;
        node->first_separator = (struct buf)BUF_INIT;
        node->separator = (struct buf)BUF_INIT;
    }
}

static void tree_free(struct tree *tree)
{
    for (size_t i = 0; i <= INDEX_LEVELS_MAX; i++) {
        struct open_node *node = &tree->levels[i];
        buf_free(&node->children);
        buf_free(&node->first_separator);
        buf_free(&node->separator);
    }
}

struct index_writer *index_writer_create(void)
{
    struct index_writer *writer = xcalloc(1, sizeof(*writer));
    index_builder_init(&writer->builder);
    writer->entry_packer = index_packer_create();
    writer->packer = index_packer_create();
    writer->separator = (struct buf)BUF_INIT;
    writer->distances = (struct buf)BUF_INIT;
    pthread_mutex_init(&writer->mutex, NULL);
    writer->held_end = &writer->held;
    tree_init(&writer->entry_tree);
    tree_init(&writer->member_tree);
    return writer;
}

static void free_page(struct held_page *page)
{
    buf_free(&page->member);
    buf_free(&page->separator);
    free(page);
}

void index_writer_free(struct index_writer *writer)
{
    if (writer == NULL)
        return;
    for (struct held_page *page = writer->held, *next; page != NULL; page = next) {
        next = page->next;
        free_page(page);
    }
    index_builder_free(&writer->builder);
    index_packer_free(writer->entry_packer);
    index_packer_free(writer->packer);
    buf_free(&writer->separator);
    buf_free(&writer->distances);
    pthread_mutex_destroy(&writer->mutex);
    tree_free(&writer->entry_tree);
    tree_free(&writer->member_tree);
    free(writer);
}

/* ---- entries ---- */

static void close_page(struct index_writer *writer, uint64_t tar_position)
{
    struct held_page *page = xcalloc(1, sizeof(*page));
    scope_buf struct buf raw = BUF_INIT;
    page->count = writer->builder.count;
    page->block = tar_position / ARCHIVE_BLOCK_BYTES;
    page->separator = writer->separator;
    page->member = (struct buf)BUF_INIT;
    writer->separator = (struct buf)BUF_INIT;
    index_builder_finish(&writer->builder, &raw);
    index_page_pack(writer->entry_packer, INDEX_ENTRIES, buf_slice(&raw), &page->member);
    pthread_mutex_lock(&writer->mutex);
    *writer->held_end = page;
    writer->held_end = &page->next;
    pthread_mutex_unlock(&writer->mutex);
}

/* The shortest start of `path` that comes after the path before. */
static void set_separator(struct index_writer *writer, const struct buf *path)
{
    const struct buf *before = &writer->builder.path;
    size_t shared = 0;
    while (shared < before->length && shared < path->length &&
           before->data[shared] == path->data[shared])
        shared++;
    buf_clear(&writer->separator);
    if (writer->entries > 0 && !writer->is_unsorted)
        buf_add(&writer->separator, path->data, shared < path->length ? shared + 1 : path->length);
}

void index_writer_entry(struct index_writer *writer, const struct entry *entry, uint64_t tar_start)
{
    if (writer->entries > 0 &&
        index_path_order(buf_slice(&writer->builder.path), buf_slice(&entry->path)) >= 0)
        writer->is_unsorted = true;
    if (!index_builder_has_room(&writer->builder, entry))
        close_page(writer, tar_start);
    if (writer->builder.count == 0)
        set_separator(writer, &entry->path);
    index_builder_add(&writer->builder, entry, tar_start);
    writer->entries++;
}

/* ---- the file ---- */

static int add_child(struct index_writer *writer, struct tree *tree, unsigned level,
                     const struct index_child *child, struct out_file *file, struct error *err);

/* A page of level `level` to the file, and its place to the node above. */
static int place(struct index_writer *writer, struct tree *tree, unsigned level,
                 struct index_child *child, struct slice member, struct out_file *file,
                 struct error *err)
{
    if (out_file_add(file, member.data, member.length, err) < 0)
        return -1;
    child->offset = writer->position;
    child->length = member.length;
    writer->position += member.length;
    return add_child(writer, tree, level + 1, child, file, err);
}

static int close_node(struct index_writer *writer, struct tree *tree, unsigned level,
                      struct out_file *file, struct error *err)
{
    struct open_node *node = &tree->levels[level];
    scope_buf struct buf raw = BUF_INIT;
    scope_buf struct buf member = BUF_INIT;
    index_put(&raw, level);
    index_put(&raw, node->child_count);
    buf_add(&raw, node->children.data, node->children.length);
    index_page_pack(writer->packer, INDEX_NODE, buf_slice(&raw), &member);
    struct index_child child = {.count = node->count, .separator = node->first_separator};
    if (place(writer, tree, level, &child, buf_slice(&member), file, err) < 0)
        return -1;
    buf_clear(&node->children);
    node->child_count = 0;
    node->count = 0;
    node->end = 0;
    buf_clear(&node->separator);
    node->closed++;
    return 0;
}

static void append_child(struct open_node *node, uint8_t level, const struct index_child *child)
{
    const struct buf *separator = &child->separator;
    size_t shared = 0;
    if (node->child_count == 0) {
        node->first =
            (struct index_root){.offset = child->offset, .length = child->length, .level = level};
        buf_clear(&node->first_separator);
        buf_add(&node->first_separator, separator->data, separator->length);
    }
    while (shared < node->separator.length && shared < separator->length &&
           node->separator.data[shared] == separator->data[shared])
        shared++;
    index_put(&node->children, child->offset - node->end);
    index_put(&node->children, child->length);
    index_put(&node->children, child->count);
    index_put(&node->children, shared);
    index_put(&node->children, separator->length - shared);
    buf_add(&node->children, separator->data + shared, separator->length - shared);
    buf_clear(&node->separator);
    buf_add(&node->separator, separator->data, separator->length);
    node->child_count++;
    node->count += child->count;
    node->end = child->offset + child->length;
}

static int add_child(struct index_writer *writer, struct tree *tree, unsigned level,
                     const struct index_child *child, struct out_file *file, struct error *err)
{
    if (level > INDEX_LEVELS_MAX || writer->is_hopeless) {
        writer->is_hopeless = true;
        return 0;
    }
    struct open_node *node = &tree->levels[level];
    size_t size =
        HEAD_BYTES + node->children.length + CHILD_NUMBERS_BYTES + child->separator.length;
    if (size > INDEX_RAW_MAX_BYTES && close_node(writer, tree, level, file, err) < 0)
        return -1;
    append_child(node, (uint8_t)(level - 1), child);
    return 0;
}

/* What is open becomes nodes, up to the one that stands alone. */
static int finish_tree(struct index_writer *writer, struct tree *tree, struct out_file *file,
                       struct error *err)
{
    for (unsigned level = 1; level <= INDEX_LEVELS_MAX && !writer->is_hopeless; level++) {
        struct open_node *node = &tree->levels[level];
        if (node->closed == 0 && node->child_count <= 1) {
            tree->root = node->first;
            return 0;
        }
        if (node->child_count > 0 && close_node(writer, tree, level, file, err) < 0)
            return -1;
    }
    writer->is_hopeless = true;
    return 0;
}

/* ---- members ---- */

static int close_distances(struct index_writer *writer, struct out_file *file, struct error *err)
{
    scope_buf struct buf raw = BUF_INIT;
    scope_buf struct buf member = BUF_INIT;
    index_put(&raw, writer->distance_start);
    index_put(&raw, writer->distance_count);
    buf_add(&raw, writer->distances.data, writer->distances.length);
    index_page_pack(writer->packer, INDEX_MEMBERS, buf_slice(&raw), &member);
    struct index_child child = {.count = writer->distance_count, .separator = BUF_INIT};
    buf_clear(&writer->distances);
    writer->distance_count = 0;
    return place(writer, &writer->member_tree, 0, &child, buf_slice(&member), file, err);
}

/* How far the last member is from where the next one begins. */
static void add_distance(struct index_writer *writer)
{
    if (writer->distance_count == 0)
        writer->distance_start = writer->member_start;
    index_put(&writer->distances, writer->position - writer->member_start);
    writer->distance_count++;
}

/* Held pages that were full by `block`, as one list, where they are enough to be written; or NULL. */
static struct held_page *take_held(struct index_writer *writer, uint64_t block, size_t enough)
{
    struct held_page *taken = NULL;
    size_t size = 0;
    pthread_mutex_lock(&writer->mutex);
    struct held_page **end = &writer->held;
    while (*end != NULL && (*end)->block <= block) {
        size += (*end)->member.length;
        end = &(*end)->next;
    }
    if (size > enough) {
        taken = writer->held;
        writer->held = *end;
        if (*end == NULL)
            writer->held_end = &writer->held;
        *end = NULL;
    }
    pthread_mutex_unlock(&writer->mutex);
    return taken;
}

static int write_held(struct index_writer *writer, struct held_page *page, struct out_file *file,
                      struct error *err)
{
    int result = 0;
    for (struct held_page *next; page != NULL; page = next) {
        next = page->next;
        struct index_child child = {.count = page->count, .separator = page->separator};
        if (result == 0)
            result =
                place(writer, &writer->entry_tree, 0, &child, buf_slice(&page->member), file, err);
        free_page(page);
    }
    return result;
}

int index_writer_member(struct index_writer *writer, struct out_file *file, size_t length,
                        struct error *err)
{
    if (writer->members > 0)
        add_distance(writer);
    writer->member_start = writer->position;
    writer->position += length;
    uint64_t block = writer->members++;
    if (HEAD_BYTES + writer->distances.length + INDEX_VARINT_MAX_BYTES > INDEX_RAW_MAX_BYTES &&
        close_distances(writer, file, err) < 0)
        return -1;
    return write_held(writer, take_held(writer, block, INDEX_HELD_MAX_BYTES), file, err);
}

int index_writer_finish(struct index_writer *writer, struct out_file *file, uint64_t tar_bytes,
                        struct error *err)
{
    if (writer->members > 0)
        add_distance(writer);
    if (writer->builder.count > 0)
        close_page(writer, 0);
    if (write_held(writer, take_held(writer, UINT64_MAX, 0), file, err) < 0 ||
        (writer->distance_count > 0 && close_distances(writer, file, err) < 0) ||
        finish_tree(writer, &writer->entry_tree, file, err) < 0 ||
        finish_tree(writer, &writer->member_tree, file, err) < 0)
        return -1;
    if (writer->is_hopeless)
        return 0;
    struct index_trailer trailer = {
        .offset = writer->position,
        .tar_bytes = tar_bytes,
        .entries = writer->entries,
        .members = writer->members,
        .entry_root = writer->entry_tree.root,
        .member_root = writer->member_tree.root,
        .flags = writer->is_unsorted ? 0 : INDEX_IS_SORTED,
    };
    scope_buf struct buf member = BUF_INIT;
    index_trailer_pack(&trailer, &member);
    return out_file_add(file, member.data, member.length, err);
}
