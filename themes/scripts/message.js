// Makes each frame with the HTML of a message as high as its content. Without this module a frame
// has the height that the node estimated, and scrolls.

/** How often a frame is measured at one width: content could grow with its frame. */
const FITS_MAX = 20;

function fit(frame) {
  const root = frame.contentDocument?.documentElement;
  if (!root) return;
  let width = 0;
  let fits = 0;
  new ResizeObserver(() => {
    if (frame.clientWidth !== width) [width, fits] = [frame.clientWidth, 0];
    fits += 1;
    if (fits > FITS_MAX) return;
    // The bar below content that scrolls sideways. Where it takes no room, it covers the content.
    const bar = frame.contentWindow.innerHeight - root.clientHeight;
    frame.height = Math.ceil(root.getBoundingClientRect().height) + bar;
  }).observe(root);
}

for (const frame of document.querySelectorAll('iframe[data-block=html]')) {
  frame.addEventListener('load', () => fit(frame));
  // A short one may be there before this module is.
  const { readyState, URL: address } = frame.contentDocument ?? {};
  if (readyState === 'complete' && address !== 'about:blank') fit(frame);
}
