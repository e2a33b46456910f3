// Makes each frame with the HTML of a message as high as its content. Without this module a frame
// has the height that the node estimated, and scrolls. Pictures that could not be fetched are counted.

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

/** Says how many pictures of a frame could not be fetched. */
function count(frame) {
  const line = frame.nextElementSibling?.querySelector('[data-many]');
  const images = [...(frame.contentDocument?.images ?? [])];
  const missing = images.filter((image) => image.src && image.complete && !image.naturalWidth).length;
  if (!line || missing === 0) return;
  line.textContent = missing === 1 ? line.dataset.one : line.dataset.many.replace('{n}', missing);
}

for (const frame of document.querySelectorAll('iframe[data-block=html]')) {
  frame.addEventListener('load', () => fit(frame));
  frame.addEventListener('load', () => count(frame));
  // A short one may be there before this module is.
  const { readyState, URL: address } = frame.contentDocument ?? {};
  if (readyState === 'complete' && address !== 'about:blank') fit(frame), count(frame);
}
