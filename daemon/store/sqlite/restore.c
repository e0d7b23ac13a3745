/*
 * Restoring: puts a copy of a file in the place of the database.
 *
 *   lock      as the daemon does; a running daemon is refused
 *   copy      page by page through SQLite, beside the database, including the file's own WAL
 *   mark      the copy as "restored" (store/sqlite/mark.c), with its moment
 *   verify    the copy, as foxtrackrctl verify does; until here nothing has changed
 *   names     the WAL gets a second name, beside the copy's; then copy and database exchange their
 *             names in one step; then the WAL's first name is removed
 *   accept    opens it as the daemon does: gaps, migrations (store/sqlite/restored.c)
 *
 * The exchange is decisive: a process that ends before it leaves the old database with its WAL, and
 * one that ends after it the new one, marked, beside a WAL with two names. The next program that
 * opens the database completes the work. No file of the old database is ever removed, only names of
 * files that have another name; a copy that was not used is removed.
 *
 * A kill can leave a file under the working name PATH.restoring-TIME: before the exchange it is an
 * incomplete copy, after it the old database.
 */
#include "store/sqlite/restore_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/sqlite/lock_internal.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define DATABASE_MODE 0640

/* --- names ---------------------------------------------------------------------------------- */

/* Gives the copy the mode and owner of the old database; without one, those that the daemon would
 * use. */
static int give_owner(struct restore *restore)
{
    struct stat like = restore->old;
    struct stat copy;

    if (like.st_nlink == 0) {
        if (stat(restore->store->directory, &like) < 0) {
            return store_restore_problem(restore, restore->store->directory, "be looked at");
        }
        like.st_mode = DATABASE_MODE;
    }
    if (fstat(restore->fd, &copy) < 0) {
        return store_restore_problem(restore, restore->work, "be looked at");
    }
    if ((copy.st_uid != like.st_uid || copy.st_gid != like.st_gid) &&
        fchown(restore->fd, like.st_uid, like.st_gid) < 0) {
        return store_restore_problem(
            restore, restore->work,
            "be given to the owner of the database, run this as root or as that "
            "user");
    }
    /* The daemon must be able to open the lock, which root may just have created. */
    if (geteuid() == 0 && !restore->store->lock_is_other &&
        fchown(restore->store->lock_fd, like.st_uid, like.st_gid) < 0) {
        return store_restore_problem(restore, restore->store->path,
                                     "have its lock given to its owner");
    }
    return fchmod(restore->fd, like.st_mode & 07777) < 0
               ? store_restore_problem(restore, restore->work, "get its mode")
               : STORE_OK;
}

static int finish_copy(struct restore *restore)
{
    int result = give_owner(restore);

    if (result == STORE_OK && store_mark_set_wal(restore->fd, true) < 0) {
        result = store_restore_problem(restore, restore->work, "be written");
    }
    if (result == STORE_OK && fsync(restore->fd) < 0) {
        result = store_restore_problem(restore, restore->work, "be made durable");
    }
    return result == STORE_OK ? store_sync_directory(restore->store) : result;
}

/* Moves one companion of a database with `how`: link() or rename(). */
static int move_companion(struct restore *restore, const char *from, const char *to,
                          const char *suffix, int (*how)(const char *, const char *))
{
    char *old_name = store_restore_join(from, suffix);
    char *new_name = store_restore_join(to, suffix);
    int result = STORE_OK;

    if (old_name == NULL || new_name == NULL) {
        result = store_restore_no_memory(restore);
    } else if (how(old_name, new_name) < 0 && errno != ENOENT) {
        result = store_restore_problem(restore, old_name, "be set aside");
    }
    free(old_name);
    free(new_name);
    return result;
}

static int remove_name(const char *name, const char *other)
{
    (void)other;
    return unlink(name);
}

/* Does this for the WAL and the journal. */
static int each_companion(struct restore *restore, const char *from, const char *to,
                          int (*how)(const char *, const char *))
{
    int result = STORE_OK;

    for (int i = 0; i < RESTORE_COMPANIONS && result == STORE_OK; i++) {
        result = move_companion(restore, from, to, store_restore_companions[i], how);
    }
    return result;
}

/* Exchanges the names of the new and the old database. */
/*
 * Puts `work` in the place of `path`, which is called `aside` from then on, on a file system that
 * cannot exchange two names. A process that ends between the first two calls leaves a database with
 * two names, which the daemon refuses. Returns 0; or -1 with errno, and the names are as before.
 */
static int replace(const char *work, const char *path, const char *aside)
{
    int error;

    if (link(path, aside) < 0) {
        return -1;
    }
    if (rename(work, path) < 0) {
        error = errno;
        unlink(aside);
        errno = error;
        return -1;
    }
    return 0;
}

static int exchange(struct restore *restore)
{
    const char *path = restore->store->path;
    int done;

    if (restore->old.st_nlink == 0) {
        done = renameat2(AT_FDCWD, restore->work, AT_FDCWD, path, RENAME_NOREPLACE);
        if (done < 0 && (errno == EINVAL || errno == ENOSYS)) {
            done = rename(restore->work, path);
        }
    } else {
        done = renameat2(AT_FDCWD, restore->work, AT_FDCWD, path, RENAME_EXCHANGE);
        if (done < 0 && (errno == EINVAL || errno == ENOSYS)) {
            done = replace(restore->work, path, restore->aside);
        }
    }
    if (done < 0) {
        return store_restore_problem(restore, path, "get its new content");
    }
    restore->exchanged = true;
    return STORE_OK;
}

/* Removes the copy, and the second names of WAL and journal. Does nothing after the exchange. */
static void undo(struct restore *restore)
{
    if (restore->work == NULL || restore->exchanged || restore->fd < 0) {
        return;
    }
    unlink(restore->work);
    for (int i = 0; i < RESTORE_COMPANIONS; i++) {
        char *name = store_restore_join(restore->work, store_restore_companions[i]);

        if (name != NULL) {
            unlink(name);
        }
        free(name);
    }
}

static int change_names(struct restore *restore)
{
    const char *path = restore->store->path;
    int result = finish_copy(restore);

    if (result == STORE_OK &&
        !restore->watcher->progress(restore->watcher->context, "exchanging", STORE_BYTES, 0, 0)) {
        result = store_restore_stopped(restore);
    }
    if (result == STORE_OK) {
        result = each_companion(restore, path, restore->work, link);
    }
    if (result == STORE_OK) {
        result = store_sync_directory(restore->store);
    }
    return result == STORE_OK ? exchange(restore) : result;
}

/*
 * Moves the old database's companions after it and gives it its final name; its WAL is beside it at
 * every moment. An error has no further effect, because the new database is in its place.
 */
static int follow(struct restore *restore)
{
    const char *path = restore->store->path;
    int result = store_sync_directory(restore->store);

    if (result == STORE_OK) {
        result = each_companion(restore, path, restore->work, remove_name);
    }
    if (result == STORE_OK) {
        result = each_companion(restore, restore->work, restore->aside, link);
    }
    if (result == STORE_OK && rename(restore->work, restore->aside) < 0 && errno != ENOENT) {
        result = store_restore_problem(restore, restore->work, "be renamed");
    }
    if (result == STORE_OK) {
        result = store_sync_directory(restore->store);
    }
    if (result == STORE_OK) {
        result = each_companion(restore, restore->work, restore->aside, remove_name);
    }
    if (result == STORE_OK) {
        result = move_companion(restore, path, restore->aside, "-shm", rename);
    }
    return result == STORE_OK ? store_sync_directory(restore->store) : result;
}

/* --- all of it ------------------------------------------------------------------------------ */

static int begin(struct restore *restore)
{
    struct store *store = restore->store;
    int result = store_resolve(store);

    store->restoring = true;
    if (result == STORE_OK && stat(store->path, &restore->old) < 0) {
        restore->old.st_nlink = 0;
        if (errno != ENOENT) {
            result = store_restore_problem(restore, store->path, "be looked at");
        }
    } else if (result == STORE_OK && !S_ISREG(restore->old.st_mode)) {
        result = store_refuse(store, STORE_E_PATH, "%s: is not a regular file", store->path);
    }
    if (result == STORE_OK) {
        result = store_take_lock(store);
    }
    if (result == STORE_OK && restore->old.st_nlink == 1) {
        result = store_hold(store); /* a daemon may have the file open by another path */
    }
    return result;
}

static int run(struct restore *restore)
{
    int result = begin(restore);

    if (result == STORE_OK) {
        result = store_restore_make_copy(restore);
    }
    if (result == STORE_OK) {
        result = store_restore_verify(restore);
    }
    if (result == STORE_OK) {
        result = change_names(restore);
    }
    return result == STORE_OK ? follow(restore) : result;
}

/* Opens the new database as the daemon does. */
static int accept(const struct store_options *options, struct store_restore *request, char *problem,
                  size_t problem_size)
{
    struct store_options own = *options;
    struct store *store;
    int result;

    own.read_only = false;
    own.beside = false;
    own.durability = STORE_FULL;
    result = sqlite_open(&own, &store, problem, problem_size);
    if (result == STORE_E_LOCKED) {
        request->taken_over = true;
        return STORE_OK;
    }
    if (result == STORE_OK) {
        request->restoration = store->restoration;
        request->taken_over = request->restoration.kind == STORE_NOT_RESTORED;
        result = sqlite_close(store);
        if (result != STORE_OK) {
            snprintf(problem, problem_size, "%s: could not be closed cleanly", options->path);
        }
    }
    return result;
}

int sqlite_restore(const struct store_options *options, struct store_restore *request,
                   const struct store_watcher *watcher, store_finding_fn finding, void *context,
                   char *problem, size_t problem_size)
{
    struct restore restore = {.store = store_new(options),
                              .request = request,
                              .watcher = watcher,
                              .finding = finding,
                              .context = context,
                              .fd = -1};
    char *aside = NULL;
    int result;

    if (restore.store == NULL) {
        snprintf(problem, problem_size, "%s: out of memory", options->path);
        return STORE_E_RETRY;
    }
    result = run(&restore);
    if (result != STORE_OK) {
        snprintf(problem, problem_size, "%s%s", restore.store->error,
                 restore.exchanged ? "; the restored database is in its place already" : "");
    }
    undo(&restore);
    if (restore.exchanged && restore.old.st_nlink > 0) {
        aside = access(restore.aside, F_OK) == 0 ? restore.aside : restore.work;
        request->aside = aside;
    }
    free(aside == restore.aside ? NULL : restore.aside);
    free(aside == restore.work ? NULL : restore.work);
    if (restore.fd >= 0) {
        close(restore.fd);
    }
    store_discard(restore.store); /* releases the locks, which the next step takes again */
    return result == STORE_OK ? accept(options, request, problem, problem_size) : result;
}
