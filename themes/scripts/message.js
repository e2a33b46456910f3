// Makes each frame with the HTML of a letter as high as its content. Without this module a frame has
// the height that the node estimated, and scrolls.

/** How often a frame is measured at one width: a letter could grow with its frame. */
const FITS_MAX = 20;

function fitted(frame) {
  const root = frame.contentDocument?.documentElement;
  if (!root) return;
  let width = 0;
  let fits = 0;
  new ResizeObserver(() => {
    if (frame.clientWidth !== width) [width, fits] = [frame.clientWidth, 0];
    fits += 1;
    if (fits > FITS_MAX) return;
    // A wide table scrolls sideways; its scroll bar takes a part of the height.
    const bar = frame.offsetHeight - frame.contentWindow.innerHeight;
    frame.height = Math.ceil(root.getBoundingClientRect().height + Math.max(bar, 0)) + (root.scrollWidth > root.clientWidth ? 20 : 0);
  }).observe(root);
}

for (const frame of document.querySelectorAll('iframe[data-block=html]')) {
  frame.addEventListener('load', () => fitted(frame));
  if (frame.contentDocument?.readyState === 'complete' && frame.contentWindow.location.href !== 'about:blank') fitted(frame);
}
