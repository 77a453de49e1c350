/* A host: loads the plugin, calls it from a thread, forks and calls it in the child, unloads it. */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void (*start)(void);
static uint32_t (*square)(uint32_t);
static bool (*stop)(void);

static void check(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "host: not so: %s\n", what);
        exit(1);
    }
    printf("%s\n", what);
    fflush(stdout);
}

/* Waits until the process has so many threads: one whose last job is done may still be on its way out. */
static bool has_threads(int threads) {
    for (int tries = 0; tries < 10000; tries++) {
        int entries = -2; /* `.` and `..` */
        DIR *tasks = opendir("/proc/self/task");
        while (readdir(tasks) != NULL)
            entries++;
        closedir(tasks);
        if (entries == threads)
            return true;
        usleep(1000);
    }
    return false;
}

static bool mapped(const char *name) {
    char line[4096];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL)
        found = found || strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

/* All that the plugin does, it does on this thread and its own. */
static void *use(void *unused) {
    (void)unused;
    start();
    check(square(7) == 49, "a thread of the host's calls it");

    /* A fork copies one thread, and the locks as they are. So there is no other thread that could hold one. */
    check(stop() && has_threads(2), "its pool is shut down before a fork");
    pid_t child = fork();
    start();
    bool works = square(8) == 64 && stop();
    if (child == 0)
        _exit(works ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it is started again in the child");
    check(works, "and in the parent");
    return NULL;
}

int main(int count, char **arguments) {
    check(count == 2, "the plugin is named");
    void *plugin = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    check(plugin != NULL, "it is loaded");
    *(void **)&start = dlsym(plugin, "plugin_start");
    *(void **)&square = dlsym(plugin, "plugin_square");
    *(void **)&stop = dlsym(plugin, "plugin_stop");
    check(start && square && stop, "it has its functions");

    /* The plugin's thread-locals have destructors. While a thread lives that has used them, the system keeps the library. */
    pthread_t thread;
    pthread_create(&thread, NULL, use, NULL);
    pthread_join(thread, NULL);

    check(has_threads(1), "no thread of it is left");
    dlclose(plugin);
    check(!mapped("libplugin.so"), "it is unloaded");
    return 0;
}
