/* The width of a terminal is not asked for: 80 columns are assumed. */
struct winsize { unsigned short ws_row, ws_col; };
#define TIOCGWINSZ 0
#define ioctl(fd, request, size) ((void)(size), -1)
